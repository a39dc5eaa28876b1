"""The prod tier on a swarm of three nodes, of which the first one keeps the data."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.deploys import create_customer, log_in
from e2e.load import Load, Request
from e2e.site import ask
from e2e.stack import DATABASE, Stack, seconds_until
from e2e.swarm.cluster import HARDENED, NODES, WEB, WORKER, Cluster

pytestmark = pytest.mark.full
RATE, REQUESTS, TASKS = 80, 10_000, 1_000
BACK_SECONDS = 30
COUNT_LOADED = "SELECT count(*) FROM customers_customer WHERE given_name = 'Load'"
COUNT_OPEN = "SELECT count(*) FROM tasks_task WHERE state IN ('queued', 'running')"


@pytest.fixture(scope="module")
def cluster(stack_of: Callable[[str], Stack]) -> Iterator[Cluster]:
    if not Path(NODES).exists():
        pytest.skip(f"{NODES} is missing, which starts several engines on one machine; set NODES to its path")
    if os.geteuid() != 0:
        pytest.skip("only root can start engines")
    cluster = Cluster(stack_of("prod"))
    try:
        cluster.create()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="module")
def version(cluster: Cluster) -> str:
    return cluster.stack.project


def test_node_that_keeps_the_data_must_be_labelled(cluster: Cluster, version: str) -> None:
    said = cluster.deploy(version, fails=True)

    (node,) = re.findall(r"docker node update --label-add crm\.data=true (\w+)", said)
    cluster.docker(1, "node", "update", "--label-add", "crm.data=true", node)


def test_node_that_lets_programs_gain_privileges_is_named(cluster: Cluster, version: str) -> None:
    said = cluster.deploy(version, fails=True)

    print(said[-800:])
    assert '/etc/docker/daemon.json of this node lacks "no-new-privileges": true' in said
    assert re.findall(r'^(node\d): "task: non-zero exit', said, re.M) == ["node3"]
    assert cluster.services() == {}
    cluster.nodes("kill", "3")
    cluster.start_nodes(3, HARDENED)


def test_prod_tier_becomes_a_stack_with_its_data(cluster: Cluster, version: str) -> None:
    seconds_until(lambda: "Down" not in cluster.docker(1, "node", "ls"), 30)
    cluster.stack.compose("up", "--detach", "--wait", "--no-build", "db")
    cluster.stack.within("db", "psql", "-U", DATABASE, "-c", "CREATE TABLE moved AS SELECT 42")
    cluster.stack.compose("down")

    start = time.monotonic()
    said = cluster.deploy(version)
    print(f"deployed in {time.monotonic() - start:.0f} s")

    assert cluster.sql("SELECT * FROM moved") == "42"
    assert "Ignoring" not in said, said
    assert set(cluster.services().values()) == {"1/1", f"{WEB}/{WEB}", f"{WORKER}/{WORKER}"}
    assert {node for node, _ in cluster.containers("web")} == {1, 2, 3}
    assert ask(cluster.site, "GET", "/api/v1/ready/").status == 200
    cluster.create_administrator()


def test_containers_may_do_little(cluster: Cluster) -> None:
    for node, container in cluster.containers():
        facts = json.loads(cluster.docker(node, "inspect", container))[0]
        name, host = facts["Name"], facts["HostConfig"]
        if "mail" in name:
            continue
        bounds = {key: host[key] for key in ("ReadonlyRootfs", "CapDrop", "CapAdd", "Privileged")}
        assert bounds == {"ReadonlyRootfs": True, "CapDrop": ["ALL"], "CapAdd": None, "Privileged": False}, name
        assert 128 * 2**20 <= host["Memory"] <= 2**30, name
        assert 0 < host["NanoCpus"] <= 2 * 10**9, name
        assert host["PidsLimit"] == (250 if "_db." in name else 100), name
        memory = {one["Target"]: one["TmpfsOptions"]["SizeBytes"] for one in host["Mounts"] if one["Type"] == "tmpfs"}
        assert 0 < memory["/tmp"] <= 256 * 2**20, name
        assert facts["State"]["Health"]["Status"] == "healthy", name
        assert cluster.docker(node, "exec", container, "grep", "-h", "NoNewPrivs", "/proc/self/status")[-1] == "1", name


def test_secrets_are_in_no_environment_of_web(cluster: Cluster) -> None:
    facts = cluster.docker(1, "service", "inspect", f"{cluster.stack.project}_web")

    values = (cluster.stack.checkout / ".envs/.env.production").read_text()
    secrets = re.findall(r"^\w+(?:_PASSWORD|_KEY)=(\S+)$", values, re.M)
    assert len(secrets) > 4
    assert [secret for secret in secrets if secret in facts] == []


def test_backup_is_taken_and_drilled(cluster: Cluster) -> None:
    cluster.within("backup", "python3", "-m", "backup", "take")

    assert cluster.within("backup", "python3", "-m", "backup", "drill").startswith("PASS ")


def load(cluster: Cluster, rate: int, count: int | None = None) -> Load:
    session = log_in(cluster.site)
    pages = [Request("GET", "/admin/login/", 200), Request("GET", "/", 302)]
    requests = [lambda number: create_customer(session, number), *pages * 5]
    return Load(cluster.site, requests, rate, count=count, clients=24)


def test_killed_node_is_replaced_and_nothing_is_lost(cluster: Cluster) -> None:
    with cluster.enqueue(TASKS), load(cluster, 20) as requests:
        seconds_until(lambda: cluster.count_mails().total() > 100, 60)
        assert cluster.containers("web", (3,))
        before = time.time()
        cluster.nodes("kill", "3")
        after = time.time()
        seconds = wait_until_complete(cluster, [1, 2])
        time.sleep(10)
    cluster.start_nodes(3, HARDENED)
    lost = [one for one in requests.failures if not (one.start <= after and one.end >= before)]
    waited = seconds_until(lambda: cluster.sql(COUNT_OPEN) == "0", 120)
    sent, rows = cluster.count_mails(), set(cluster.sql("SELECT id FROM tasks_task WHERE kind LIKE '%reset'").split())

    print(f"all back after {seconds:.1f} s; {requests.report()}, {len(lost)} of them not in flight; {len(rows)} tasks,")
    print(f"{sent.total() - len(sent)} repeated, the last {waited:.0f} s later")
    assert [(one.request.path, one.start, one.end) for one in lost] == []
    assert len(rows) >= TASKS
    assert (rows - sent.keys(), sent.keys() - rows) == (set(), set())


def wait_until_complete(cluster: Cluster, nodes: list[int]) -> float:
    """Wait until these nodes run as many containers as all three should, and return how long it took."""
    wanted = {"web": WEB, "celery-worker": WORKER, "celery-certificates": 1, "celery-beat": 1}
    start = time.monotonic()
    while (found := {name: len(cluster.containers(name, nodes, health="healthy")) for name in wanted}) != wanted:
        assert time.monotonic() - start < BACK_SECONDS, f"after {BACK_SECONDS} s there are {found} instead of {wanted}"
    return time.monotonic() - start


@pytest.mark.parametrize("operation", ["update", "rollback"])
def test_new_version_loses_no_request(cluster: Cluster, version: str, operation: str) -> None:
    wanted = cluster.tag("second") if operation == "update" else version
    before = int(cluster.sql(COUNT_LOADED))
    seconds_until(lambda: "Down" not in cluster.docker(1, "node", "ls"), 30)
    with load(cluster, RATE, REQUESTS) as requests:
        start = time.monotonic()
        said = cluster.deploy(wanted)
        seconds = time.monotonic() - start
        assert requests.is_running, "the load has ended before the deploy"
    created = int(cluster.sql(COUNT_LOADED)) - before

    print(f"{operation} in {seconds:.0f} s: {requests.report()}")
    assert [(one.request.path, one.start, one.answer) for one in requests.failures] == []
    assert created == sum(one.request.method == "POST" for one in requests.samples)
    assert (len(requests.samples), "Ignoring" in said) == (REQUESTS, False)
    assert cluster.versions() == {wanted}


def test_version_that_is_not_healthy_is_rolled_back(cluster: Cluster, version: str) -> None:
    cluster.tag_unhealthy("unhealthy")
    with load(cluster, 20) as requests:
        said = cluster.deploy("unhealthy", fails=True)

    print(said[-500:])
    seconds_until(cluster.is_settled, 120)
    assert "rolled back" in said
    assert cluster.versions() == {version}
    assert requests.failures == []

"""The pods of the overlay local-db, run by Podman."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.kubernetes import manifests
from e2e.kubernetes.cluster import PODMAN, Cluster, running
from e2e.stack import DATABASE, Stack, seconds_until

pytestmark = pytest.mark.full
IMAGES = ("exhibition-crm", "exhibition-crm-certificates")
READY_SECONDS = 15
# Each counts in one process only.
APPLIED = "SELECT count(*) - count(DISTINCT (app, name)), count(*) > 50 FROM django_migrations"
STATUS = "import re; print(*re.findall(r'^(?:Uid|Cap.{3}|NoNewPrivs):\\t(\\w+)', open('/proc/1/status').read(), re.M))"
WRITE = "import errno\ntry: open('/app/file', 'w')\nexcept OSError as error: print(errno.errorcode[error.errno])"


@pytest.fixture(scope="module")
def cluster(stack_of: Callable[[str], Stack], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if not Path(PODMAN).exists():
        pytest.skip("there is no Podman: install it, or set PODMAN to its path")
    if os.geteuid() != 0:
        pytest.skip("only root can make a network for the pods")
    stack = stack_of("prod")
    stack.make("prod-env")
    stack.compose("build", "--quiet", "web", "celery-certificates", "backup")
    sources = manifests.copy_sources(tmp_path_factory.mktemp("kubernetes"))
    documents = manifests.parse(manifests.render(sources, "local-db", stack.project))
    built, backup = f"{stack.project}-backup:postgres-17", "exhibition-crm-backup:postgres-17"
    ours = [*(f"{image}:{stack.project}" for image in IMAGES), built]
    load([*ours, "redis:8-trixie", "postgres:17-trixie"])
    subprocess.run([PODMAN, "tag", built, backup], check=True)
    try:
        with running(sources, documents) as cluster:
            for pod in ("db", "redis", "broker"):
                cluster.start_pod(pod)
            seconds_until(lambda: is_up(cluster), 60)
            # One to ask from, inside the network.
            client = {name: value for name, value in cluster.pods["beat"]["spec"].items() if name != "initContainers"}
            cluster.pods["client"] = cluster.pods["beat"] | {"spec": client}
            cluster.start_pod("client")
            yield cluster
    finally:
        subprocess.run([PODMAN, "rmi", "--force", *ours, backup], capture_output=True, check=False)


def load(images: list[str]) -> None:
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
        subprocess.run([PODMAN, "load", "--quiet"], stdin=saved.stdout, capture_output=True, check=True)


def is_up(cluster: Cluster) -> bool:
    return cluster.run("exec", "db-db", "pg_isready", "-q", "-h", "127.0.0.1").returncode == 0


def test_three_that_meet_an_old_schema_wait_for_one_migration(cluster: Cluster) -> None:
    waiting = [cluster.play("web", f"web-{number}") for number in (1, 2, 3)]
    for number in (1, 2, 3):
        seconds_until(lambda: "Waiting" in cluster.run("logs", f"web-{number}-schema").stdout, 30)  # noqa: B023
    before = [process.poll() for process in waiting], cluster.ask("web-1", "/api/v1/ready/", port=8001)

    start = time.monotonic()
    cluster.start_pod("migrate")
    code = cluster.wait_for_exit("migrate-app")
    print(f"migrate: {time.monotonic() - start:.1f} s")
    ready = [process.wait(60) for process in waiting]
    for number in (1, 2, 3):
        cluster.wait_until_ready(f"web-{number}", READY_SECONDS)

    assert before == ([None, None, None], None)
    assert (code, ready) == (0, [0, 0, 0])
    assert cluster.sql(APPLIED) == "0|t"
    assert [cluster.inspect(f"web-{number}-app")["RestartCount"] for number in (1, 2, 3)] == [0, 0, 0]


def test_web_is_ready_soon_and_may_do_little(cluster: Cluster) -> None:
    start = time.monotonic()
    cluster.start_pod("web", "web-4")
    cluster.wait_until_ready("web-4", READY_SECONDS)
    seconds = time.monotonic() - start
    print(f"ready after {seconds:.1f} s")

    assert seconds < READY_SECONDS
    none = "0" * 16
    assert cluster.within("web-4-app", "python", "-c", STATUS).split() == ["10001", *[none] * 5, "1"]
    assert cluster.within("web-4-app", "python", "-c", WRITE) == "EROFS"
    host = cluster.inspect("web-4-app")["HostConfig"]
    assert (host["ReadonlyRootfs"], host["Memory"]) == (True, 768 * 2**20)


@pytest.mark.parametrize("host", ["10.89.0.7", "web", "crm.example.com", "another.example.org"])
def test_probes_answer_any_host_and_pages_their_own(cluster: Cluster, host: str) -> None:
    probes = [cluster.ask("web-1", path, port=8001, host=host) for path in ("/api/v1/health/", "/api/v1/ready/")]

    assert probes == [200, 200]
    assert cluster.ask("web-1", "/admin/login/", host=host) == 400
    assert cluster.ask("web-1", "/admin/login/", host="localhost") == 200


def test_request_in_flight_is_answered_while_a_pod_ends(cluster: Cluster) -> None:
    lock = "BEGIN; LOCK TABLE accounts_apitoken; SELECT pg_sleep(2.5)"
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    command = cluster.command("exec", "db-db", "psql", "-qX", "-U", DATABASE, "-c", lock)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as locking:
        seconds_until(lambda: cluster.sql("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'") == "1", 5)
        asking = cluster.start_asking("web-2", "/api/v1/customers/", port=8000, host="localhost", count=8)
        seconds_until(lambda: cluster.sql(sleeping) == "8", 5)
        start = time.monotonic()
        cluster.run("stop", "--time", "38", "web-2-app")
        seconds = time.monotonic() - start
        said, errors = asking.communicate(timeout=30)
    print(f"ended after {seconds:.1f} s")

    assert locking.returncode == 0
    assert said.split() == ["401"] * 8, errors
    assert seconds < 38
    assert cluster.inspect("web-2-app")["State"]["ExitCode"] == 0


def test_workers_and_clock_pass_their_probes(cluster: Cluster) -> None:
    names = ("worker", "certificates", "beat")
    for name in names:
        cluster.start_pod(name)
    for name in names:
        probe = cluster.pods[name]["spec"]["containers"][0]["livenessProbe"]["exec"]["command"]
        seconds_until(lambda: cluster.run("exec", f"{name}-app", *probe).returncode == 0, 60)  # noqa: B023
        assert cluster.ask(name, "/metrics", port=8001) == 200


def test_backup_is_taken_by_the_role_for_backups(cluster: Cluster) -> None:
    cluster.start_pod("backup")

    assert cluster.wait_for_exit("backup-backup") == 0
    assert "verified" in cluster.podman("logs", "backup-backup")

"""`make prod-deploy` and `make prod-rollback` under constant load."""

import json
import re
import time
from collections.abc import Callable

import pytest

from e2e.deploys import STYLE, BackgroundRun, Deployed, longest_gap, switch_under_load
from e2e.load import Load, Request
from e2e.site import ask
from e2e.stack import Stack, docker, seconds_until

RATE, REQUESTS, MANY = 100, 5_000, 20_000


@pytest.fixture(scope="module")
def deployed(stack_of: Callable[[str], Stack]) -> Deployed:
    return Deployed(stack_of("prod"))


def report(load: Load, seconds: float) -> str:
    return f"{seconds:.1f} s; {load.report()}, longest gap {1000 * longest_gap(load):.0f} ms"


def posts(load: Load) -> list[int]:
    """Return the numbers of requests with the expected response."""
    sent = [
        sample.request.body or "" for sample in load.samples if sample.request.method == "POST" and not sample.failed
    ]
    return sorted(int(body.partition("family_name=")[2].partition("&")[0]) for body in sent)


def test_deploy_with_a_change_of_schema_and_files_loses_nothing(deployed: Deployed) -> None:
    old, services = Request("GET", deployed.style(), 200), "docker/compose/services.yml"
    database, definition = deployed.stack.containers("db"), (deployed.stack.checkout / services).read_text()
    version = deployed.commit(
        {
            STYLE: "a { color: blue }\n",
            # A change of the database waits for the next `make prod-up`.
            services: (deployed.stack.checkout / services)
            .read_text()
            .replace("max_connections=200", "max_connections=199"),
            **deployed.migration("ALTER TABLE customers_customer ADD COLUMN e2e text"),
        }
    )
    with deployed.load(RATE, count=REQUESTS, more=[old, old]) as load:
        time.sleep(3)
        start = time.monotonic()
        said = deployed.stack.make("prod-deploy")
        seconds = time.monotonic() - start
        assert ask(deployed.site, "GET", deployed.style()).status == 200
    print(said, report(load, seconds), sep="\n")
    assert load.failures == []
    assert len(load.samples) == REQUESTS
    assert deployed.style() != old.path
    assert (deployed.version, deployed.stack.containers("db")) == (version, database)
    assert deployed.list_created() == posts(load)
    deployed.commit({services: definition})


def test_rollback_loses_nothing(deployed: Deployed) -> None:
    before = deployed.stack.make("prod-status").split()
    with deployed.load(RATE, count=RATE * 40) as load:
        time.sleep(1)
        start = time.monotonic()
        said = deployed.stack.make("prod-rollback")
        seconds = time.monotonic() - start
    print(said, report(load, seconds), sep="\n")
    assert load.failures == []
    assert re.search(r"does not know customers\.\d{4}_e2e", said)
    assert deployed.version in before


@pytest.mark.full
def test_scaling_up_and_down_loses_nothing(deployed: Deployed) -> None:
    with deployed.load(RATE, count=RATE * 30) as load:
        time.sleep(1)
        start = time.monotonic()
        deployed.stack.make("prod-scale", "WEB=2", "WORKER=2")
        up = [len(deployed.stack.containers(service)) for service in ("web", "celery-worker", "celery-beat")]
        deployed.stack.make("prod-scale", "WEB=1", "WORKER=1")
        seconds = time.monotonic() - start
    print(report(load, seconds))
    assert load.failures == []
    assert up == [2, 2, 1]
    assert deployed.versions() == [deployed.version]


@pytest.mark.full
def test_version_without_an_image_for_certificates_is_served_without_its_worker(deployed: Deployed) -> None:
    before = deployed.version
    docker("tag", f"exhibition-crm:{before}", "exhibition-crm:earlier")
    with deployed.keep_visiting():
        deployed.stack.make("prod-deploy", "VERSION=earlier")
        workers = [len(deployed.stack.containers(service)) for service in ("celery-worker", "celery-certificates")]
        deployed.stack.make("prod-rollback")
    assert workers == [1, 0]
    assert deployed.versions() == [before]


@pytest.mark.full
@pytest.mark.parametrize("operation", ["deploy", "rollback", "scale"])
def test_many_requests_during_one_switch_after_the_other_lose_nothing(deployed: Deployed, operation: str) -> None:
    assert switch_under_load(deployed, operation, RATE, MANY) >= 3
    deployed.stack.make("prod-scale", "WEB=1")  # as the next test finds it


@pytest.mark.full
def test_rollback_past_a_migration_that_breaks_the_version_is_refused(deployed: Deployed) -> None:
    before = deployed.version
    contraction = "ALTER TABLE customers_customer DROP COLUMN IF EXISTS e2e"
    version = deployed.commit(deployed.migration(contraction, breaks=True))
    with deployed.keep_visiting():
        deployed.stack.make("prod-deploy")
        refused = deployed.stack.make("prod-rollback", fails=True)
        assert (deployed.version, deployed.versions()) == (version, [version])
        said = deployed.stack.make("prod-rollback", "FORCE=1")
    print(refused, said, sep="\n")
    (name,) = re.findall(rf"Version {before} does not work with (\S+)\. Set FORCE=1 to roll back anyway", refused)
    assert f"version {before} does not know {name}, which breaks it" in said
    assert (deployed.version, deployed.versions()) == (before, [before])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["prod-rollback", "VERSION=none-such"], "Image exhibition-crm:none-such does not exist"),
        (["prod-deploy", "VERSION=none-such"], "Image exhibition-crm:none-such does not exist"),
        (["prod-scale", "WEB=0"], "WEB=0 is not a number from 1 to 3"),
        (["prod-scale", "WEB=x"], "WEB=x is not a number from 1 to 3"),
        (["prod-scale", "WEB=9"], "WEB=9 is not a number from 1 to 3"),
        (["prod-scale", "WEB=2", "WORKER=9"], "WORKER=9 is not a number from 1 to 4"),
        (["prod-scale"], "How many? make prod-scale WEB=2, WORKER=2, or both"),
    ],
)
def test_value_that_cannot_be_is_refused_by_name(deployed: Deployed, command: list[str], words: str) -> None:
    before = deployed.list_resources(), deployed.history()
    assert words in deployed.stack.make(*command, fails=True)
    assert (deployed.list_resources(), deployed.history()) == before


@pytest.mark.full
def test_nginx_is_directed_to_the_new_ones_alone_during_the_switch(deployed: Deployed) -> None:
    deployed.stack.make("prod-scale", "WEB=2")
    old = set(deployed.web())
    seen: dict[str, set[str]] = {}
    with deployed.keep_visiting():
        deploy = BackgroundRun(deployed.stack, "prod-deploy", f"VERSION={deployed.tag('directed')}")
        while deploy.process.poll() is None:
            name = deployed.get_upstream()
            seen[name] = deployed.resolve(name) or seen.get(name, set())
        assert deploy.wait() == 0
    print(deploy.output, f"directed to {seen}", sep="\n")
    (switched,) = set(seen) - {"web"}
    assert seen[switched] == deployed.addresses(deployed.web())
    assert len(seen[switched]) == 2
    assert old & set(deployed.web()) == set()
    assert deployed.get_upstream() == "web"


@pytest.mark.full
def test_deploy_while_nginx_is_stopped_is_served_when_it_starts(deployed: Deployed) -> None:
    deployed.stack.compose("stop", "nginx")
    version = deployed.tag("unseen")
    deployed.stack.make("prod-deploy", f"VERSION={version}")
    deployed.stack.compose("start", "nginx")
    seconds = seconds_until(lambda: deployed.stack.health("nginx") == "healthy", 30)
    print(f"healthy {seconds:.1f} s after its start")
    assert ask(deployed.site, "GET", "/admin/login/").status == 200
    assert set(deployed.versions()) == {version}


@pytest.mark.full
def test_old_images_are_removed_but_not_those_that_serve_or_served(deployed: Deployed) -> None:
    deployed.stack.make("prod-scale", "WEB=1")
    serving, old = deployed.version, [deployed.tag(f"old-{number}") for number in range(6)]
    entry = json.dumps(deployed.history()[-1])
    history = [entry.replace(serving, version) for version in old]
    deployed.history_file.write_text("\n".join([*history, entry]) + "\n")
    said = deployed.stack.make("prod-deploy", f"VERSION={deployed.tag('newest')}")
    print(said)
    kept = docker("image", "ls", "--format", "{{.Tag}}", "exhibition-crm").split()
    assert [version for version in [*old, serving, "newest"] if version in kept] == [*old[3:], serving, "newest"]
    assert "could not be removed" not in said


def test_start_after_a_deploy_builds_and_replaces_nothing(deployed: Deployed) -> None:
    version, web = deployed.version, deployed.web()
    # The checkout differs from what serves, as it does after a rollback.
    deployed.commit({STYLE: "a { color: green }\n"})
    said = deployed.stack.make("prod-up")
    assert (deployed.version, deployed.versions()) == (version, [version])
    assert deployed.web() == web
    assert "building version" not in said
    listed = rf"T\d\d:\d\d  \w+ +{re.escape(version)} +\d+\.\d s  \S+@\S+ +ok\n"
    assert re.search(listed, deployed.stack.make("prod-status"))


@pytest.mark.full
def test_deployed_version_comes_up_again_after_a_stop(deployed: Deployed) -> None:
    version = deployed.version
    deployed.stack.make("prod-down")
    refused = [
        deployed.stack.make(*command, fails=True)
        for command in (["prod-deploy"], ["prod-rollback"], ["prod-scale", "WEB=2"])
    ]
    words = f"No container of version {version} serves. Start the tier first: make prod-up"
    assert [words in said for said in refused] == [True, True, True]
    deployed.stack.make("prod-up")
    assert deployed.versions() == [version]
    assert ask(deployed.site, "GET", "/admin/login/").status == 200

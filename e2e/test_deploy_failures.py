"""Deploys that fail, meet another one, or are killed: the version that serves goes on, and the next one succeeds."""

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from e2e.deploys import Deployed, UnderWay
from e2e.stack import Stack, seconds_until

BUILDING, MIGRATING, STARTING = "building version", "migrating the database", "out of traffic"
SWITCHING, DRAINING = "switching traffic", "draining"
full = pytest.mark.full


@dataclass(frozen=True)
class Fault:
    step: str  # where it shows
    said: str
    outcome: str  # in the history
    appended: dict[str, str]
    migration: str = ""


FAULTS = {
    "not_ready": Fault(
        STARTING,
        "Its last log lines:\n{",
        r"\S+-web-\d+ is not ready: answered 503",
        {
            "core_apps/operations/probes.py": "\n\ndef readiness():\n    return JsonResponse({}, status=503)\n",
        },
    ),
    "crashes": Fault(
        STARTING,
        "Its last log lines:\nError: e2e has broken it",
        r"\S+-web-\d+ is not ready: .+",
        {"config/wsgi.py": 'raise RuntimeError("e2e has broken it")\n'},
    ),
    "cannot_migrate": Fault(
        MIGRATING,
        "division by zero",
        r"`docker compose .+ migrate` failed with exit code 1",
        {},
        "SELECT 1/0",
    ),
    "cannot_be_built": Fault(
        BUILDING,
        "e2e-breaks-the-build",
        r"`docker compose .+ build .+` failed with exit code \d+",
        {"docker/django/Dockerfile": "\nRUN e2e-breaks-the-build\n"},
    ),
}


@pytest.fixture(scope="module")
def deployed(stack_of: Callable[[str], Stack]) -> Deployed:
    return Deployed(stack_of("prod"))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=name, marks=[full] if name in ("crashes", "cannot_be_built") else [])
        for name, fault in FAULTS.items()
    ],
)
def test_version_that_cannot_serve_replaces_nothing(deployed: Deployed, fault: Fault) -> None:
    files = {name: (deployed.stack.checkout / name).read_text() + text for name, text in fault.appended.items()}
    version = deployed.commit(files | (deployed.migration(fault.migration) if fault.migration else {}))
    before = deployed.everything(), deployed.web(), deployed.version
    with deployed.visited():
        said = deployed.stack.make("prod-deploy", fails=True)
    deployed.back()
    print(said)
    assert (deployed.everything(), deployed.web(), deployed.version) == before
    assert deployed.directed() == "web"
    assert fault.step in said
    assert fault.said in said
    last = deployed.history()[-1]
    assert (last["action"], last["version"]) == ("deploy", version)
    assert re.fullmatch(fault.outcome, last["outcome"])


def test_second_deploy_at_once_is_refused_and_names_the_first(deployed: Deployed) -> None:
    version = deployed.tag("twice")
    with deployed.visited():
        first = UnderWay(deployed.stack, "prod-deploy", f"VERSION={version}")
        first.wait_to_say(MIGRATING)
        refused = [
            deployed.stack.make(*command, fails=True)
            for command in (["prod-deploy"], ["prod-rollback"], ["prod-scale", "WEB=2"], ["prod-up"])
        ]
        assert first.wait() == 0
    print(refused[0])
    words = r"A deploy is already in progress: deploy twice by \S+@\S+, process \d+, since \d\d:\d\d:\d\d UTC\. Wait"
    assert [len(re.findall(words, said)) for said in refused] == [1, 1, 1, 1]
    assert (deployed.version, deployed.versions()) == (version, [version])


def deploy_after(deployed: Deployed, version: str) -> None:
    """What an interrupted one left is gone afterwards."""
    print(deployed.stack.make("prod-deploy", f"VERSION={version}"))
    assert (deployed.version, deployed.versions(), deployed.directed()) == (version, [version], "web")


@pytest.mark.parametrize(
    "step", [SWITCHING, DRAINING, *(pytest.param(step, marks=full) for step in (MIGRATING, STARTING, BUILDING))]
)
def test_deploy_killed_at_any_step_is_repaired_by_the_next(deployed: Deployed, step: str) -> None:
    before, version = deployed.everything(), deployed.tag(f"killed-{step.split()[0]}")
    with deployed.visited():
        # Building has a version of its own, and nothing changed that would take long.
        killed = UnderWay(deployed.stack, "prod-deploy", *([] if step == BUILDING else [f"VERSION={version}"]))
        killed.wait_to_say(step)
        killed.kill()
        assert killed.wait() != 0
        print(killed.said)
        deploy_after(deployed, version)
    after = deployed.everything()
    assert [len(after[kind]) for kind in after] == [len(before[kind]) for kind in after]


def test_deploy_killed_as_it_takes_over_is_cleared_away_by_a_start(deployed: Deployed) -> None:
    serving = deployed.version
    with deployed.visited():
        killed = UnderWay(deployed.stack, "prod-deploy", f"VERSION={deployed.tag('left')}")
        killed.wait_to_say(SWITCHING)
        seconds_until(lambda: deployed.directed() != "web", 10)
        killed.kill()
        killed.wait()
    deployed.stack.make("prod-up")
    assert (deployed.version, deployed.versions(), deployed.directed()) == (serving, [serving], "web")


@pytest.mark.parametrize(
    ("step", "number"),
    [
        (SWITCHING, signal.SIGHUP),
        pytest.param(MIGRATING, signal.SIGINT, marks=full),
        pytest.param(STARTING, signal.SIGTERM, marks=full),
    ],
)
def test_deploy_interrupted_removes_at_once_what_it_started(
    deployed: Deployed, step: str, number: signal.Signals
) -> None:
    before, serving = (deployed.everything(), deployed.web()), deployed.version
    version = deployed.tag(f"interrupted-{number.name}")
    with deployed.visited():
        interrupted = UnderWay(deployed.stack, "prod-deploy", f"VERSION={version}")
        interrupted.wait_to_say(step)
        interrupted.interrupt(number)
        code = interrupted.wait()
        print(interrupted.said)
    assert code != 0
    assert (deployed.everything(), deployed.web()) == before
    assert (deployed.version, deployed.directed()) == (serving, "web")
    assert [deployed.history()[-1][name] for name in ("version", "outcome")] == [version, "interrupted"]


def test_interruption_while_the_old_is_drained_changes_nothing(deployed: Deployed) -> None:
    version = deployed.tag("drained")
    with deployed.visited():
        deploy = UnderWay(deployed.stack, "prod-deploy", f"VERSION={version}")
        deploy.wait_to_say(DRAINING)
        deploy.interrupt(signal.SIGHUP)
        deploy.wait()
    assert (deployed.version, deployed.versions(), deployed.directed()) == (version, [version], "web")
    assert deployed.history()[-1]["outcome"] == "ok"

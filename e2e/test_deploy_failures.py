"""Deploys that fail, overlap or are killed: the running version goes on, and the next deploy succeeds."""

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from e2e.deploys import BackgroundRun, Deployed
from e2e.stack import Stack, seconds_until

BUILDING, MIGRATING, STARTING = "building version", "migrating the database", "out of traffic"
SWITCHING, DRAINING = "switching traffic", "draining"
full = pytest.mark.full


@dataclass(frozen=True)
class Fault:
    step: str  # where it shows
    output: str
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
    before = deployed.list_resources(), deployed.web(), deployed.version
    with deployed.keep_visiting():
        said = deployed.stack.make("prod-deploy", fails=True)
    deployed.back()
    print(said)
    assert (deployed.list_resources(), deployed.web(), deployed.version) == before
    assert deployed.get_upstream() == "web"
    assert fault.step in said
    assert fault.output in said
    last = deployed.history()[-1]
    assert (last["action"], last["version"]) == ("deploy", version)
    assert re.fullmatch(fault.outcome, last["outcome"])


def test_second_deploy_at_once_is_refused_and_names_the_first(deployed: Deployed) -> None:
    version = deployed.tag("twice")
    with deployed.keep_visiting():
        first = BackgroundRun(deployed.stack, "prod-deploy", f"VERSION={version}")
        first.wait_for_output(MIGRATING)
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
    """The next deploy removes what an interrupted one has left."""
    print(deployed.stack.make("prod-deploy", f"VERSION={version}"))
    assert (deployed.version, deployed.versions(), deployed.get_upstream()) == (version, [version], "web")


@pytest.mark.parametrize(
    "step", [SWITCHING, DRAINING, *(pytest.param(step, marks=full) for step in (MIGRATING, STARTING, BUILDING))]
)
def test_deploy_killed_at_any_step_is_repaired_by_the_next(deployed: Deployed, step: str) -> None:
    before, version = deployed.list_resources(), deployed.tag(f"killed-{step.split()[0]}")
    with deployed.keep_visiting():
        # Building has a version of its own, and nothing changed that would take long.
        killed = BackgroundRun(deployed.stack, "prod-deploy", *([] if step == BUILDING else [f"VERSION={version}"]))
        killed.wait_for_output(step)
        killed.kill()
        assert killed.wait() != 0
        print(killed.output)
        deploy_after(deployed, version)
    after = deployed.list_resources()
    assert [len(after[kind]) for kind in after] == [len(before[kind]) for kind in after]


@pytest.mark.full
def test_deploy_killed_as_it_takes_over_is_cleared_away_by_a_start(deployed: Deployed) -> None:
    serving = deployed.version
    with deployed.keep_visiting():
        killed = BackgroundRun(deployed.stack, "prod-deploy", f"VERSION={deployed.tag('left')}")
        killed.wait_for_output(SWITCHING)
        seconds_until(lambda: deployed.get_upstream() != "web", 10)
        killed.kill()
        killed.wait()
    deployed.stack.make("prod-up")
    assert (deployed.version, deployed.versions(), deployed.get_upstream()) == (serving, [serving], "web")


@pytest.mark.full
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
    before, serving = (deployed.list_resources(), deployed.web()), deployed.version
    version = deployed.tag(f"interrupted-{number.name}")
    with deployed.keep_visiting():
        interrupted = BackgroundRun(deployed.stack, "prod-deploy", f"VERSION={version}")
        interrupted.wait_for_output(step)
        interrupted.interrupt(number)
        code = interrupted.wait()
        print(interrupted.output)
    assert code != 0
    assert (deployed.list_resources(), deployed.web()) == before
    assert (deployed.version, deployed.get_upstream()) == (serving, "web")
    assert [deployed.history()[-1][name] for name in ("version", "outcome")] == [version, "interrupted"]


@pytest.mark.full
def test_interruption_while_the_old_is_drained_changes_nothing(deployed: Deployed) -> None:
    version = deployed.tag("drained")
    with deployed.keep_visiting():
        deploy = BackgroundRun(deployed.stack, "prod-deploy", f"VERSION={version}")
        deploy.wait_for_output(DRAINING)
        deploy.interrupt(signal.SIGHUP)
        deploy.wait()
    assert (deployed.version, deployed.versions(), deployed.get_upstream()) == (version, [version], "web")
    assert deployed.history()[-1]["outcome"] == "ok"

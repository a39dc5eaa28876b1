"""The state files of a deploy: version, history and lock, without containers."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.deployments import Deployments, RefusedError
from e2e.checkout import SOURCE

# Takes the lock, and is killed while its command goes on.
HOLDER = """
from pathlib import Path
from deploy.deployments import Deployments
from deploy.tier import run
with Deployments(Path({env_file!r})).lock("deploy of-the-killed"):
    run(["sh", "-c", "echo locked; exec sleep {seconds} >&-"], stream_output=True)
"""


@pytest.fixture
def deployments(tmp_path: Path) -> Deployments:
    (tmp_path / ".env.production").write_text("SECRET_KEY=a\nVERSION=one\nDOMAIN=localhost\n")
    return Deployments(tmp_path / ".env.production")


def entries(*versions: str, outcome: str = "ok", days: int = 0) -> str:
    moment = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    entry = {"time": moment, "action": "deploy", "by": "alice@server", "seconds": 12.3, "outcome": outcome}
    return "".join(json.dumps(entry | {"version": version}) + "\n" for version in versions)


def holder(deployments: Deployments, seconds: float) -> subprocess.Popen[str]:
    code = HOLDER.format(env_file=str(deployments.env_file), seconds=seconds)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=SOURCE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "locked\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_version_is_replaced_and_nothing_else(deployments: Deployments) -> None:
    deployments.set_variable("VERSION", "two")
    assert deployments.version() == "two"
    assert deployments.env_file.read_text() == "SECRET_KEY=a\nDOMAIN=localhost\nVERSION=two\n"
    assert deployments.env_file.stat().st_mode & 0o777 == 0o600


def test_version_before_the_first_start_is_blank(deployments: Deployments) -> None:
    deployments.env_file.write_text("#VERSION=0.2.0\nVERSION=\n")
    assert deployments.version() == ""


def test_history_keeps_every_outcome_and_served_those_that_were_good(deployments: Deployments) -> None:
    assert deployments.history() == []
    for version, outcome in (("one", "ok"), ("two", "web-2 is not ready"), ("three", "ok"), ("one", "ok")):
        deployments.record("deploy", version, 12.34, outcome)
    assert [entry["outcome"] for entry in deployments.history()] == ["ok", "web-2 is not ready", "ok", "ok"]
    assert deployments.history()[0]["seconds"] == 12.3
    assert deployments.list_served_versions() == ["one", "three"]


def test_versions_beyond_the_last_five_are_obsolete(deployments: Deployments) -> None:
    deployments.history_file.write_text(entries("a", "b", "c", "d", "e", "f", "one"))
    assert deployments.list_obsolete_versions() == ["a", "b"]


def test_version_that_serves_and_the_one_before_are_never_obsolete(deployments: Deployments) -> None:
    failed = entries("c", "d", "e", "f", "g", "h", outcome="web-2 is not ready")
    deployments.history_file.write_text(entries("a", "b", "one", days=100) + failed)
    assert deployments.list_obsolete_versions() == ["a", "c", "d", "e", "f", "g", "h"]


def test_version_of_last_season_is_obsolete_though_few_came_after(deployments: Deployments) -> None:
    deployments.history_file.write_text(entries("a", "b", days=91) + entries("c", days=89) + entries("d", "one"))
    assert deployments.list_obsolete_versions() == ["a", "b"]


def test_version_that_another_tier_of_the_checkout_keeps_is_not_obsolete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prod, staging = (Deployments(Path(name)) for name in (".envs/.env.production", ".envs/staging/.env"))
    staging.env_file.parent.mkdir(parents=True)
    prod.history_file.write_text(entries("a", "b"))
    staging.history_file.write_text(entries("a", "b", "c", outcome="web-2 is not ready"))
    assert (staging.list_obsolete_versions(), prod.list_obsolete_versions()) == (["c"], [])
    assert [staging.has_served(version) for version in "abc"] == [True, True, False]


def test_second_is_refused_by_name_of_the_first(deployments: Deployments) -> None:
    first = holder(deployments, 3)
    with (
        pytest.raises(RefusedError, match=r"in progress: deploy of-the-killed by \S+@\S+, process") as refused,
        deployments.lock("rollback"),
    ):
        pass
    assert f"process {first.pid}, since " in str(refused.value)
    first.terminate()
    first.communicate()


def test_lock_of_a_killed_one_is_free_when_its_command_has_ended(
    deployments: Deployments, capfd: pytest.CaptureFixture[str]
) -> None:
    first, start = holder(deployments, 2), time.monotonic()
    kill(first)
    with deployments.lock("deploy two"):
        waited = time.monotonic() - start
    print(f"waited {waited:.1f} s")
    assert 1 < waited < 4
    assert "Waiting for the last command of a killed deploy: deploy of-the-killed" in capfd.readouterr().out


def test_history_is_told_newest_first(deployments: Deployments) -> None:
    versions = [f"v{number}" for number in range(7)]
    deployments.history_file.write_text(entries(*versions) + entries("bad", outcome="web-2 is not ready"))
    command = [sys.executable, "-m", "deploy.deploy", "history"]
    deployments.env_file.parent.joinpath(".envs").mkdir()
    for file in (deployments.env_file, deployments.history_file):
        file.rename(file.parent / ".envs" / file.name)
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    said = subprocess.run(
        command, cwd=deployments.env_file.parent, capture_output=True, text=True, check=True, env=environment
    ).stdout.splitlines()
    assert said[0] == "last deploys:"
    assert [line.split()[2] for line in said[1:]] == ["bad", "v6", "v5", "v4", "v3"]
    line = r"\d{4}-\d\d-\d\dT\d\d:\d\d  deploy +bad +12\.3 s  alice@server +web-2 is not ready"
    assert re.fullmatch(line, said[1])

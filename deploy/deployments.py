"""The state of deploys: the version that serves, the history of deploys, and the lock."""

import fcntl
import getpass
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

from deploy import env_file

KEPT_VERSIONS, KEPT_DAYS = 5, 90


class RefusedError(Exception):
    """The preconditions are not met; nothing was changed."""


class Deployments:
    """`VERSION` in the env file is what Compose starts; the history and the lock are files beside it."""

    def __init__(self, env_file: Path) -> None:
        self.env_file = env_file
        self.history_file = env_file.with_name("deployments.jsonl")
        self.lock_file = env_file.with_name("deploy.lock")

    def version(self) -> str:
        """The version that serves, or an empty string before the first start."""
        return self.variable("VERSION")

    def variable(self, name: str) -> str:
        """The variable of the env file, or an empty string."""
        return env_file.read(self.env_file).get(name, "")

    def set_variable(self, name: str, value: str) -> None:
        """Write it atomically: a reader gets either the old value or the new one."""
        env_file.change(self.env_file, {name: value})

    def history(self) -> list[dict[str, Any]]:
        """Oldest first."""
        if not self.history_file.exists():
            return []
        return [json.loads(line) for line in self.history_file.read_text(encoding="utf-8").splitlines()]

    def record(self, action: str, version: str, seconds: float, outcome: str, **more: str) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "action": action,
            "version": version,
            "by": current_user(),
            "seconds": round(seconds, 1),
            "outcome": outcome,
            **more,
        }
        with self.history_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def served_versions(self) -> list[str]:
        """The distinct versions that have served, newest first."""
        good = [entry["version"] for entry in self.history() if entry["outcome"] == "ok"]
        return list(dict.fromkeys(reversed(good)))

    def obsolete_versions(self) -> list[str]:
        """Versions that failed or are old; never the one that serves or the one before it."""
        latest = {entry["version"]: datetime.fromisoformat(entry["time"]) for entry in self.history()}
        served, before = self.served_versions(), datetime.now(UTC) - timedelta(days=KEPT_DAYS)
        kept = [version for version in served[:KEPT_VERSIONS] if latest[version] > before]
        return [version for version in latest if version not in {self.version(), *served[:2], *kept}]

    @contextmanager
    def lock(self, action: str) -> Iterator[None]:
        """Allow one deploy at a time. The kernel releases the lock when this process and its command have ended."""
        with self.lock_file.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait_for_killed_deploy(file)
            os.set_inheritable(file.fileno(), True)
            file.truncate(0)
            file.write(f"{action} by {current_user()}, process {os.getpid()}, since {datetime.now(UTC):%H:%M:%S} UTC")
            file.flush()
            yield


def wait_for_killed_deploy(file: TextIO) -> None:
    """Wait for the last command of a killed deploy; raise RefusedError if the deploy is still alive."""
    file.seek(0)
    holder = file.read().strip()
    process = re.search(r"process (\d+)", holder)
    if not process or is_alive(int(process[1])):
        raise RefusedError(f"A deploy is already in progress: {holder or 'just started'}. Wait until it has finished.")
    print(f"Waiting for the last command of a killed deploy: {holder}", flush=True)
    fcntl.flock(file, fcntl.LOCK_EX)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def current_user() -> str:
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"{user}@{os.uname().nodename}"

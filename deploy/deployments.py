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
# Of the tiers of a checkout, which share the images.
ENV_FILES = (Path(".envs/.env.production"), Path(".envs/staging/.env"))
# How the commands for this tier begin: make prod, make caddy or make staging.
MAKE = f"make {os.environ.get('COMMANDS', 'prod')}"


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

    def list_served_versions(self) -> list[str]:
        """The distinct versions that have served, newest first."""
        good = [entry["version"] for entry in self.history() if entry["outcome"] == "ok"]
        return list(dict.fromkeys(reversed(good)))

    def list_kept_versions(self) -> set[str]:
        """The one that serves, the one before it, and the last ones unless they are old."""
        latest = {entry["version"]: datetime.fromisoformat(entry["time"]) for entry in self.history()}
        served, before = self.list_served_versions(), datetime.now(UTC) - timedelta(days=KEPT_DAYS)
        recent = [version for version in served[:KEPT_VERSIONS] if latest[version] > before]
        return {self.version(), *served[:2], *recent}

    def list_obsolete_versions(self) -> list[str]:
        """Versions that failed or are old, and that no tier of this checkout keeps."""
        kept = {version for tier in self.list_tiers() for version in tier.list_kept_versions()}
        tried = dict.fromkeys(entry["version"] for entry in self.history())
        return [version for version in tried if version not in kept]

    def has_served(self, version: str) -> bool:
        """Whether it has in any tier of this checkout."""
        return any(version in tier.list_served_versions() for tier in self.list_tiers())

    def list_tiers(self) -> list["Deployments"]:
        return [self, *map(Deployments, ENV_FILES)]

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

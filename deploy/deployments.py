"""What is written down about deploys: the version that serves, every deploy's outcome, and who is at it now."""

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
    """The deploy cannot begin; nothing was changed."""


class Deployments:
    """`VERSION` in the env file is what Compose starts; the history and the lock lie beside it."""

    def __init__(self, env_file: Path) -> None:
        self.env_file = env_file
        self.history_file = env_file.with_name("deployments.jsonl")
        self.lock_file = env_file.with_name("deploy.lock")

    def version(self) -> str:
        """The version that serves; blank before the first start."""
        return self.variable("VERSION")

    def variable(self, name: str) -> str:
        """Blank where there is none."""
        return env_file.read(self.env_file).get(name, "")

    def set_variable(self, name: str, value: str) -> None:
        """Written as a whole: what is read afterwards is either the old or the new."""
        env_file.change(self.env_file, {name: value})

    def history(self) -> list[dict[str, Any]]:
        """Oldest first."""
        if not self.history_file.exists():
            return []
        return [json.loads(line) for line in self.history_file.read_text(encoding="utf-8").splitlines()]

    def note(self, action: str, version: str, seconds: float, outcome: str, **more: str) -> None:
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "action": action,
            "version": version,
            "by": who(),
            "seconds": round(seconds, 1),
            "outcome": outcome,
            **more,
        }
        with self.history_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def served(self) -> list[str]:
        """Versions that have served, the last one first, each once."""
        good = [entry["version"] for entry in self.history() if entry["outcome"] == "ok"]
        return list(dict.fromkeys(reversed(good)))

    def obsolete(self) -> list[str]:
        """Those that failed, and old ones; never what serves or what served before it."""
        latest = {entry["version"]: datetime.fromisoformat(entry["time"]) for entry in self.history()}
        served, before = self.served(), datetime.now(UTC) - timedelta(days=KEPT_DAYS)
        kept = [version for version in served[:KEPT_VERSIONS] if latest[version] > before]
        return [version for version in latest if version not in {self.version(), *served[:2], *kept}]

    @contextmanager
    def lock(self, action: str) -> Iterator[None]:
        """One at a time; the kernel lets go of it when the process and the command that it runs have ended."""
        with self.lock_file.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                wait_for_what_was_killed(file)
            os.set_inheritable(file.fileno(), True)
            file.truncate(0)
            file.write(f"{action} by {who()}, process {os.getpid()}, since {datetime.now(UTC):%H:%M:%S} UTC")
            file.flush()
            yield


def wait_for_what_was_killed(file: TextIO) -> None:
    """Until its last command has ended; where it is alive, refuse."""
    file.seek(0)
    holder = file.read().strip()
    process = re.search(r"process (\d+)", holder)
    if not process or is_alive(int(process[1])):
        raise RefusedError(f"Another one is under way: {holder or 'just begun'}. Wait until it has ended.")
    print(f"Waiting for the last command of one that was killed: {holder}", flush=True)
    fcntl.flock(file, fcntl.LOCK_EX)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def who() -> str:
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"{user}@{os.uname().nodename}"

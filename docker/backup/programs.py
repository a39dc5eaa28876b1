"""Runs programs, and reduces the output of a failed one to one line."""

import re
import subprocess
from collections.abc import Collection, Mapping

from backup.errors import BackupError

ERROR_LINE = re.compile(r"error:|ERROR|FATAL|PANIC|No space left")


def run(*command: str, allowed: Collection[int] = (0,), environment: Mapping[str, str] | None = None) -> str:
    """Return its stdout; raise BackupError if its exit code is not allowed."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode not in allowed:
        raise BackupError(
            reason(f"{done.stderr}\n{done.stdout}") or f"{command[0]} failed with exit code {done.returncode}"
        )
    return done.stdout


def succeeds(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def reason(output: str) -> str:
    """The first line about an error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return ([line for line in lines if ERROR_LINE.search(line)] or lines[-1:] or [""])[0]

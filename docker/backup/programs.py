"""Runs programs: what one says when it fails becomes one line."""

import re
import subprocess
from collections.abc import Collection, Mapping

from backup.errors import FailedError

TELLING = re.compile(r"error:|ERROR|FATAL|PANIC|No space left")


def run(*command: str, allowed: Collection[int] = (0,), environment: Mapping[str, str] | None = None) -> str:
    """Return what the program prints. Raise FailedError where its exit code is not one of those allowed."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode not in allowed:
        raise FailedError(reason(f"{done.stderr}\n{done.stdout}") or f"{command[0]} ended with {done.returncode}")
    return done.stdout


def succeeds(*command: str) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def reason(output: str) -> str:
    """The first line that tells of an error; else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return ([line for line in lines if TELLING.search(line)] or lines[-1:] or [""])[0]

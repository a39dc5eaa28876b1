"""Reports: one JSON line in the container's log, and a webhook for failures."""

import json
import os
import sys
import urllib.request
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backup.settings import Settings

HOOK_SECONDS = 10
# The standard output of the container's first process.
LOG = Path("/proc/1/fd/1")


def log(level: str, message: str, **facts: Any) -> None:
    """Write to the container's log, even from a process that a person started with `docker exec`."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = json.dumps({"time": time, "level": level, "logger": "backup", "message": message, **facts}, default=str)
    with suppress(OSError), LOG.open("a") as file:
        file.write(f"{line}\n")
        return
    print(line, file=sys.stderr, flush=True)


def report_failure(settings: Settings, action: str, reason: str, **facts: Any) -> None:
    """Log the failure and post it to BACKUP_FAILURE_URL; an unreachable URL is only logged."""
    log("ERROR", f"{action} failed: {reason}", **facts)
    if not settings.failure_url:
        return
    time = datetime.now(UTC).isoformat(timespec="seconds")
    body = {"event": "backup_failed", "action": action, "reason": reason, "host": os.uname().nodename, "time": time}
    try:
        post(settings.failure_url, body | facts)
    except (OSError, ValueError) as error:
        log("ERROR", f"BACKUP_FAILURE_URL could not be called: {error}")


def post(url: str, body: dict[str, Any]) -> None:
    data = json.dumps(body, default=str).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - checked in settings
    with urllib.request.urlopen(request, timeout=HOOK_SECONDS):  # noqa: S310
        pass

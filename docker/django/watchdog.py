"""Runs a command, and ends when it stops working: `python watchdog.py celery -A config.celery worker …`.

Each process of the command touches a file of its own in HEARTBEATS every few seconds. Compose restarts a container that
ends, but not one that is unhealthy; and a process that is stuck cannot end itself.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HEARTBEATS = Path("/tmp/heartbeats")  # noqa: S108 - a tmpfs of this container
START_SECONDS = 90  # until the first heartbeat
MAX_AGE = 30  # seconds of a heartbeat
CHECK_SECONDS = 5


def main(command: list[str]) -> int:
    shutil.rmtree(HEARTBEATS, ignore_errors=True)
    HEARTBEATS.mkdir()
    child = subprocess.Popen(command, env=os.environ | {"HEARTBEATS": str(HEARTBEATS)})
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    started = time.monotonic()
    while True:
        try:
            return child.wait(CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            if is_stuck(time.monotonic() - started):
                print(f"No heartbeat for {MAX_AGE} s: {' '.join(command)} is killed", file=sys.stderr, flush=True)
                child.kill()


def is_stuck(seconds_since_start: float) -> bool:
    times = [file.stat().st_mtime for file in HEARTBEATS.iterdir()]
    return time.time() - min(times) > MAX_AGE if times else seconds_since_start > START_SECONDS


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)

"""The service: takes backups when they are due, and tells of those that were killed."""

import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from backup import drilling, reporting, runs, status, wal
from backup.manifest import SCHEDULED
from backup.settings import FailedError, Settings

POLL_SECONDS = 5
# After one that failed; of these, each calls BACKUP_FAILURE_URL.
RETRY = timedelta(hours=1)
# A restore or a drill may be under way.
PATIENCE = 1800.0  # seconds


def serve(settings: Settings) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    status.note_first_start(settings)
    reporting.say("INFO", f"backups are taken at {settings.schedule}")
    keeper = wal.Keeper(settings)
    keeper.start()
    try:
        while True:
            step(settings, datetime.now(UTC))
            keeper.tick(datetime.now(UTC))
            time.sleep(POLL_SECONDS)
    finally:
        keeper.stop()


def step(settings: Settings, now: datetime) -> None:
    """What is due now. A failure has been told of when it comes here, and is tried again in an hour."""
    if killed := runs.was_killed(settings):
        runs.fail(settings, killed, "it was killed before its end; the next one removes what it had written")
    last = next((run for run in runs.last_runs(settings) if run.kind == SCHEDULED), None)
    with suppress(FailedError):
        if last is None or settings.schedule.last(now) > last.started:
            # The first one is taken at once, and so is one whose time passed while the service was off.
            runs.run(settings, SCHEDULED, PATIENCE)
        elif last.has_failed and now >= (last.finished or last.started) + RETRY:
            runs.resume(settings, last, PATIENCE)
    with suppress(FailedError):
        drilling.run_when_due(settings, now, status.first_start(settings))

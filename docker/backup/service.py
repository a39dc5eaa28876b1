"""The service: takes backups when they are due, and reports those that were killed."""

import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from backup import drill, notify, runs
from backup.errors import FailedError
from backup.lock import is_free
from backup.manifest import SCHEDULED
from backup.settings import Settings

POLL_SECONDS = 5
# After one that failed; of these, each calls BACKUP_FAILURE_URL.
RETRY = timedelta(hours=1)


def serve(settings: Settings) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    runs.note_first_start(settings)
    notify.log("INFO", f"backups are taken at {settings.schedule}")
    service = Service(settings)
    while True:
        service.step(datetime.now(UTC))
        time.sleep(POLL_SECONDS)


class Service:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # After a failure, which cannot be noted where the disk is full.
        self.not_before = datetime.min.replace(tzinfo=UTC)

    def step(self, now: datetime) -> None:
        """Do what is due now. A failure has been reported when it comes here, and is tried again in an hour."""
        self.report_killed()
        try:
            if now >= self.not_before:
                self.take_due(now)
        except FailedError:
            self.not_before = now + RETRY
        with suppress(FailedError):
            drill.run_when_due(self.settings, now)

    def take_due(self, now: datetime) -> None:
        """The first one is taken at once, and so is one whose time passed while the service was off."""
        last = runs.last_runs(self.settings).get(SCHEDULED)
        if last is None or self.settings.schedule.last(now) > last.started:
            runs.take(self.settings, SCHEDULED, runs.PATIENCE)
        elif last.has_failed and now >= (last.finished or last.started) + RETRY:
            runs.resume(self.settings, last)

    def report_killed(self) -> None:
        """One that did not even come to say why it failed."""
        running = [run for run in runs.last_runs(self.settings).values() if run.outcome == runs.RUNNING]
        if running and is_free(self.settings):
            reason = "it was killed before its end; the next one removes what it had written"
            runs.fail(self.settings, running[0], reason)

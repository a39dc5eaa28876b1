"""The service: takes backups on schedule, and reports killed runs."""

import math
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from backup import drill, metrics, notify, runs
from backup.errors import BackupError
from backup.lock import is_free
from backup.manifest import SCHEDULED
from backup.settings import Settings

POLL_SECONDS = 5
METRICS_SECONDS = 20  # reading a manifest takes a while
# The pause after a failed run; each failure calls BACKUP_FAILURE_URL.
RETRY = timedelta(hours=1)


def serve(settings: Settings) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    runs.note_first_start(settings)
    notify.log("INFO", f"backups are taken at {settings.schedule}")
    service = Service(settings)
    while True:
        service.step(datetime.now(UTC))
        service.write_metrics()
        time.sleep(POLL_SECONDS)


class Service:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # Time of the next try; in memory, because a full disk cannot record a failure.
        self.not_before = datetime.min.replace(tzinfo=UTC)
        self.metrics_written = -math.inf

    def step(self, now: datetime) -> None:
        """Run what is due. Failures are already reported, and are retried in an hour."""
        self.report_killed()
        try:
            if now >= self.not_before:
                self.take_due(now)
        except BackupError:
            self.not_before = now + RETRY
        with suppress(BackupError):
            drill.run_when_due(self.settings, now)

    def write_metrics(self) -> None:
        if time.monotonic() - self.metrics_written > METRICS_SECONDS:
            self.metrics_written = time.monotonic()
            metrics.write(self.settings)

    def take_due(self, now: datetime) -> None:
        """Take a backup if one is due: the first at once, as one missed while the service was stopped."""
        last = runs.last_runs(self.settings).get(SCHEDULED)
        if last is None or self.settings.schedule.last(now) > last.started:
            runs.take(self.settings, SCHEDULED, runs.LOCK_TIMEOUT)
        elif last.has_failed and now >= (last.finished or last.started) + RETRY:
            runs.resume(self.settings, last)

    def report_killed(self) -> None:
        """Report a run that was killed before it could report its failure."""
        running = [run for run in runs.last_runs(self.settings).values() if run.outcome == runs.RUNNING]
        if running and is_free(self.settings):
            reason = "the run was killed; the next one removes its partial files"
            runs.fail(self.settings, running[0], reason)

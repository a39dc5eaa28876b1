"""Continuous archiving: pg_receivewal writes down what the database changes, as it changes, and somebody watches it."""

import shutil
import signal
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

from backup import base_backups, reporting, wal_archive, wal_slot
from backup.locking import lock
from backup.settings import FailedError, Settings
from backup.wal_archive import Archive
from backup.wal_slot import Progress

LOOK_SECONDS = 5
RECEIVER_BACK_OFF = (1, 2, 5, 10, 30)
# After a base backup that failed; of these, each calls BACKUP_FAILURE_URL.
BASE_BACK_OFF = (60, 600, 3600)
STOP_SECONDS = 10
# Two segments, and what a moment writes while somebody makes room.
LEAST_FREE = 48 * 2**20
BASE_AGE = timedelta(hours=26)
FIRST_BASE = timedelta(minutes=15)
# The server of a connection that is gone is known to be gone within half a minute.
CONNECTION = "keepalives_idle=15 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=30000"
# What pg_receivewal says where the database has removed what the archive lacks.
GAP = "has already been removed"


class Receiver:
    """pg_receivewal, started again whenever it has ended."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.archive: Archive | None = None
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as this
        self.failures, self.not_before = 0, 0.0
        # Why it has ended the last time.
        self.reason = ""

    @property
    def met_gap(self) -> bool:
        return GAP in self.reason

    def keep(self, archive: Archive) -> None:
        """Have it write into this archive."""
        if archive != self.archive:
            self.stop()
            self.archive, self.failures, self.not_before, self.reason = archive, 0, 0, ""
        if self.process and self.process.poll() is not None:
            self.note_end()
        if not self.process and time.monotonic() >= self.not_before:
            self.start(archive)

    def start(self, archive: Archive) -> None:
        self.said.seek(0)
        self.said.truncate()
        archive.remove_short()
        command = ["pg_receivewal", f"--directory={archive.segments}", f"--slot={wal_slot.NAME}", "--no-password"]
        # Each change is on the disk, and the database knows it, before the next one is asked for.
        command += ["--synchronous", "--status-interval=1", "--no-loop", f"--dbname={CONNECTION}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said)

    def note_end(self) -> None:
        """Say why once, not at every try."""
        pause = RECEIVER_BACK_OFF[min(self.failures, len(RECEIVER_BACK_OFF) - 1)]
        self.failures, self.not_before = self.failures + 1, time.monotonic() + pause
        if (reason := self.last_words()) != self.reason:
            reporting.say("WARNING", f"pg_receivewal has ended and is started again: {reason}")
        self.process, self.reason = None, reason

    def last_words(self) -> str:
        self.said.seek(0)
        lines = [line for line in self.said.read().decode(errors="replace").splitlines() if "error:" in line]
        ended = f"exit code {self.process.returncode}" if self.process else ""
        return lines[0].partition("error: ")[2] if lines else ended

    def forget(self) -> None:
        """It works again."""
        self.failures, self.reason = 0, ""

    def stop(self) -> None:
        if not self.process:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Keeper(Thread):
    """Keeps the archive going beside everything else that the service does, and tells of each change of its state."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="WAL archive", daemon=True)
        self.settings, self.receiver, self.ended = settings, Receiver(), Event()
        # Unknown until the database has been asked.
        self.archive: Archive | None = None
        self.is_streaming, self.fault = False, ""
        self.unanswered_since: float | None = None
        self.failed_bases, self.next_base = 0, 0.0

    def run(self) -> None:
        step = self.step if self.settings.wal_archive else self.turn_off
        while not self.ended.is_set() and not step():
            self.ended.wait(LOOK_SECONDS)
        self.receiver.stop()

    def stop(self) -> None:
        self.ended.set()
        if self.is_alive():
            self.join()

    def turn_off(self) -> bool:
        """Without an archive the slot would have the database keep its WAL until its disk is full."""
        try:
            with wal_slot.connection() as connection:
                if wal_slot.progress(connection).exists:
                    wal_slot.drop(connection)
                    reporting.say("INFO", "WAL_ARCHIVE is off: the database keeps no WAL for the archive any more")
        except FailedError:
            return False  # asked again, as long as it takes
        return True

    def step(self) -> bool:
        """Look, and repair what can be repaired; never raises."""
        try:
            with wal_slot.connection() as connection:
                self.archive = self.settled(connection)
                found = wal_slot.progress(connection)
            self.receiver.keep(self.archive)
            self.unanswered_since = None
            self.note(found.is_streaming, self.explained(found))
        except FailedError as error:
            self.note(False, self.unanswered(error))
        except OSError as error:
            self.note(False, f"{self.settings.wal}: {error.strerror}")
        return False

    def settled(self, connection: Any) -> Archive:
        """The archive that continues, or a new one where there is none, for another database, or behind a gap."""
        found, known = wal_slot.progress(connection), wal_archive.archives(self.settings.wal)
        current = known[-1] if known and known[-1].system == found.system else None
        if current and found.usable and not self.receiver.met_gap:
            return current
        if current and current.bases():
            reporting.failed(self.settings, "WAL archive", f"{gap(current)}; a new archive begins")
        self.receiver.stop()
        if found.exists:
            wal_slot.drop(connection)
        new = wal_archive.begin(self.settings.wal, found.system, datetime.now(UTC))
        wal_slot.create(connection)
        reporting.say("INFO", "WAL archive begun", name=new.path.name)
        return new

    def explained(self, found: Progress) -> str:
        fault = found.fault()
        why = self.receiver.reason or room(self.settings)
        return f"{fault}: {why}" if fault and why else fault or room(self.settings)

    def unanswered(self, error: FailedError) -> str:
        """A restart of the database is no fault of the archive's."""
        self.unanswered_since = self.unanswered_since or time.monotonic()
        return str(error) if time.monotonic() - self.unanswered_since > wal_slot.SILENCE_SECONDS else ""

    def note(self, is_streaming: bool, fault: str) -> None:
        if fault and fault != self.fault:
            reporting.failed(self.settings, "WAL archive", fault)
        if is_streaming and not fault and (self.fault or not self.is_streaming):
            reporting.say("INFO", "WAL archive is streaming")
            self.receiver.forget()
            self.failed_bases, self.next_base = 0, 0.0
        self.is_streaming, self.fault = is_streaming, fault

    def tick(self, now: datetime) -> None:
        """For the loop of the service: take a base backup when it is time for a backup, and where there is none yet."""
        if self.settings.wal_archive and not self.is_alive():
            raise FailedError("what keeps the WAL archive has ended; its log says why")
        if not self.archive or not self.is_streaming or time.monotonic() < self.next_base:
            return
        try:
            if wal_archive.is_due(self.archive.bases(), self.settings.schedule.last(now)):
                with lock(self.settings, "a base backup"):
                    base_backups.run(self.settings, self.archive)
            self.failed_bases = 0
        except FailedError:
            self.next_base = time.monotonic() + BASE_BACK_OFF[min(self.failed_bases, len(BASE_BACK_OFF) - 1)]
            self.failed_bases += 1


def gap(archive: Archive) -> str:
    end = wal_archive.ended(archive)
    return f"the database no longer has what changed after {end:%Y-%m-%d %H:%M:%S} UTC, which was not archived"


def room(settings: Settings) -> str:
    """What a person should know of the disk; blank where it is well."""
    free = shutil.disk_usage(settings.wal).free
    return f"the disk of {settings.wal} has less than {LEAST_FREE >> 20} MB left" if free < LEAST_FREE else ""


def faults(settings: Settings) -> list[str]:
    """For the health of the service."""
    if not settings.wal_archive:
        return []
    try:
        with wal_slot.connection() as connection:
            found = wal_slot.progress(connection)
    except FailedError:
        return []  # that is the database's own health; the keeper tells of it where it lasts
    return [fault for fault in (found.fault(), room(settings), age(settings)) if fault]


def age(settings: Settings) -> str:
    """Why a base backup should have been taken; blank where one has."""
    known, now = wal_archive.archives(settings.wal), datetime.now(UTC)
    if not known:
        return "the WAL archive has not begun"
    if not (bases := known[-1].bases()):
        return "" if now - known[-1].started < FIRST_BASE else "the WAL archive has no base backup"
    newest = bases[-1].finished
    return "" if now - newest < BASE_AGE else f"the newest base backup is of {newest:%Y-%m-%d %H:%M} UTC"


def status(settings: Settings) -> list[str]:
    """For a person: what can be recovered, and how far the archive is."""
    found = wal_archive.told(wal_archive.ranges(settings.wal))
    said = [f"archive      any moment from {one}" for one in found]
    if not settings.wal_archive:
        return said or ["archive      off: what is lost is what was written since the newest backup (WAL_ARCHIVE=1)"]
    try:
        with wal_slot.connection() as connection:
            return [*said, f"archive      {described(wal_slot.progress(connection))}"]
    except FailedError:
        return said  # it is among the faults


def described(found: Progress) -> str:
    since = f"{'streaming' if found.is_streaming else 'not streaming'} since {found.since:%Y-%m-%d %H:%M:%S} UTC"
    behind = f"{found.bytes_behind} bytes and {found.seconds_behind:.1f} s behind"
    return f"{since}, {behind}, {found.bytes_held / 2**20:.1f} MB held back in pg_wal"

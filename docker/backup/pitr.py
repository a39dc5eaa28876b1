"""Point-in-time recovery with Barman, which streams WAL and takes base backups; its result is an ordinary backup.

Each database cluster has its own Barman home in `/wal/SYSTEM_IDENTIFIER`. A new cluster, after an upgrade or the loss
of the volume, gets a new one; the old one can still be used for recoveries.
"""

import json
import os
import re
import shutil
import signal
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backup import catalogue, database, dump, manifest, notify, parts, scratch
from backup.errors import EXPECTED, BackupError, describe
from backup.lock import lock
from backup.programs import run
from backup.restore import read_identity
from backup.settings import Settings

CONFIG = """[barman]
barman_user = app
barman_home = {home}
barman_lock_directory = {home}
log_file = /proc/1/fd/2
log_level = ERROR
[main]
conninfo = {dsn}
streaming_conninfo = {dsn}
streaming_archiver = on
slot_name = barman
create_slot = auto
backup_method = postgres
immediate_checkpoint = true
retention_policy = RECOVERY WINDOW OF {days} DAYS
last_backup_maximum_age = 26 HOURS
"""
# `barman cron` restarts streaming; the replication slot keeps the WAL meanwhile.
CRON_SECONDS = 60
# The first base backup of a new cluster fails until WAL streaming has started.
RETRY_SECONDS = 10
# Enough for a week of changes on a slow disk.
REPLAY_SECONDS = 6 * 3600
EXAMPLE = '"2026-11-22 14:03:00+01:00"'
# PostgreSQL's messages: the WAL ended early, and the last replayed transaction.
TOO_SHORT = "recovery ended before configured recovery target was reached"
REACHED = re.compile(r"last completed transaction was at log time (.+)$", re.M)


@dataclass(frozen=True)
class Base:
    """A base backup; with the WAL, any time since its end can be recovered."""

    archive: "Archive"
    id: str
    end: datetime

    @property
    def major(self) -> int:
        return int((self.archive.home / f"main/base/{self.id}/data/PG_VERSION").read_text())


@dataclass(frozen=True)
class Archive:
    home: Path

    def configure(self, days: int) -> None:
        """Write the configuration atomically: the health check and a recovery may be reading it."""
        self.home.mkdir(exist_ok=True)
        # Not the application's database: a restore replaces it, and with it the rights to Barman's functions.
        dsn = "host={PGHOST} user={PGUSER} dbname=postgres".format_map(os.environ)
        partial = self.home / "barman.conf.partial"
        partial.write_text(CONFIG.format(home=self.home, dsn=dsn, days=days))
        partial.replace(self.home / "barman.conf")

    def barman(self, *arguments: str) -> str:
        return run("barman", "-c", str(self.home / "barman.conf"), *arguments)

    def bases(self) -> list[Base]:
        """Return complete base backups, oldest first."""
        found = json.loads(self.barman("-f", "json", "list-backups", "main"))["main"]
        done = [(int(one["end_time_timestamp"]) + 1, one["backup_id"]) for one in found if one["status"] == "DONE"]
        return [Base(self, name, datetime.fromtimestamp(end, UTC)) for end, name in sorted(done)]

    def wal(self) -> list[Path]:
        """Return WAL segments, oldest first; the last one is still being written."""
        files = [*self.home.glob("main/streaming/*"), *self.home.glob("main/wals/*/*")]
        return sorted((file for file in files if re.match("[0-9A-F]{24}", file.name)), key=lambda file: file.name[8:])

    def last_change(self) -> datetime:
        """Return when WAL was last written."""
        return datetime.fromtimestamp(max((file.stat().st_mtime for file in self.wal()), default=0), UTC)


def find_archives(settings: Settings) -> list[Archive]:
    """Return all archives; the last one was written to last."""
    found = [Archive(path.parent) for path in settings.wal.glob("*/barman.conf")]
    return sorted(found, key=Archive.last_change)


def get_current_archive(settings: Settings) -> Archive:
    """Return the archive of the running database."""
    with closing(database.connect_autocommit("")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return Archive(settings.wal / str(cursor.fetchone()[0]))


def serve(settings: Settings) -> None:
    """Run the service `barman`: `barman cron` each minute, and base backups by the schedule of backups."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    notify.log("INFO", f"any point in time of the last {settings.pitr_days} days can be recovered")
    last_error = ""
    while True:
        try:
            archive = get_current_archive(settings)
            archive.configure(settings.pitr_days)
            archive.barman("cron")
            take_base(settings, archive, datetime.now(UTC))
            last_error = ""
        except EXPECTED as error:
            # A persistent error is reported once.
            if describe(error) != last_error:
                last_error = describe(error)
                notify.report_failure(settings, "base backup", last_error)
        time.sleep(RETRY_SECONDS if last_error else CRON_SECONDS)


def take_base(settings: Settings, archive: Archive, now: datetime) -> None:
    """Take and verify a base backup if one is due, then remove old archives."""
    bases = archive.bases()
    if bases and bases[-1].end >= settings.schedule.last(now):
        return
    archive.barman("backup", "--wait", "--wait-timeout=60", "main")
    archive.barman("verify-backup", "main", "latest")
    notify.log("INFO", "base backup taken", name=archive.bases()[-1].id)
    for other in find_archives(settings):
        if other.home != archive.home and now - other.last_change() > timedelta(days=settings.pitr_days):
            shutil.rmtree(other.home)


def check_health(settings: Settings) -> None:
    """Raise BackupError with the findings of `barman check`."""
    get_current_archive(settings).barman("check", "--nagios", "main")


def describe_ranges(settings: Settings) -> list[str]:
    """Return the periods that can be recovered, as text."""
    found = [
        f"from {bases[0].end:%F %T} to {archive.last_change():%F %T} UTC"
        for archive in find_archives(settings)
        if (bases := archive.bases())
    ]
    return found or ["none: changes since the newest backup would be lost (COMPOSE_PROFILES=pitr prevents that)"]


def command(settings: Settings, *words: str) -> None:
    """Recover a point in time, and print the name of the resulting backup."""
    moment = parse(" ".join(words), datetime.now(UTC))
    with read_identity() as key, lock(settings, "a recovery"):
        print(recover(settings, moment, key))


def parse(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(re.sub(r" ?UTC$", "+00:00", text.strip()))
    except ValueError as error:
        raise BackupError(f"TIME={text} is not a time such as {EXAMPLE}") from error
    if moment.tzinfo is None:
        raise BackupError(f"TIME={text} has no time zone: write {EXAMPLE}, or Z at the end for UTC")
    if moment > now:
        raise BackupError(f"TIME={text} is in the future: it is {now:%F %T} UTC")
    return moment


def recover(settings: Settings, moment: datetime, key: Path | None) -> str:
    """Return the name of a new backup of that time."""
    base, media = choose_base(settings, moment), find_media_backups(settings, moment, key)
    is_current = write_marker(settings, base.archive)
    with scratch.empty(settings.scratch) as directory:
        try:
            return replay(settings, base, directory / "moment", moment, media, key)
        except BackupError:
            log = directory / "moment/log"
            if not log.exists() or TOO_SHORT not in log.read_text():
                raise
            end = find_last_transaction(log)
            if is_current or is_damaged(base.archive, log.read_text()):
                raise BackupError(f"the WAL is damaged; it can only be replayed until {end}") from None
        # The end of a lost cluster's WAL cannot be verified: replay all of it.
        scratch.clear(directory)
        return replay(settings, base, directory / "moment", moment, media, key, is_end=True)


def choose_base(settings: Settings, moment: datetime) -> Base:
    """Return the newest base backup before that time."""
    bases = [base for archive in find_archives(settings) for base in archive.bases() if base.end <= moment]
    if not bases:
        covered = " and ".join(describe_ranges(settings))
        raise BackupError(f"TIME={moment.isoformat(' ')} cannot be recovered. Possible times: {covered}")
    base = max(bases, key=lambda base: base.end)
    if base.major != (ours := database.major(database.client_version())):
        raise BackupError(
            f"the archive of that time is from PostgreSQL {base.major}, but this image has {ours}: "
            f"set POSTGRES_MAJOR={base.major} for the recovery, and start the tier again"
        )
    return base


def find_media_backups(settings: Settings, moment: datetime, key: Path | None) -> list[Path]:
    """Return the backups before and after that time, one of which has media files deleted since."""
    intact = [one for one in catalogue.backups(settings) if one.manifest and not one.fault]
    around = [*[one for one in intact if one.taken <= moment][-1:], *[one for one in intact if one.taken > moment][:1]]
    for one in around:
        if one.manifest:
            parts.require_key(one.manifest, key)
    return [settings.backups / one.name for one in around]


def write_marker(settings: Settings, archive: Archive) -> bool:
    """Archive a transaction later than all others so far; return False if the cluster is gone."""
    try:
        if get_current_archive(settings) != archive:
            return False
        with closing(database.connect_autocommit("")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_logical_emit_message(true, 'backup', 'recovery')")
    except EXPECTED:
        return False
    with suppress(BackupError):  # the archived WAL may be sufficient
        archive.barman("switch-wal", "--archive", "--archive-timeout=60", "main")
    return True


def replay(
    settings: Settings,
    base: Base,
    directory: Path,
    moment: datetime,
    media: list[Path],
    key: Path | None,
    *,
    is_end: bool = False,
) -> str:
    directory.mkdir(mode=0o700)
    target = [] if is_end else ["--target-time", moment.isoformat(" "), "--target-action", "promote"]
    base.archive.barman("restore", "--get-wal", *target, "main", base.id, str(directory / "data"))
    # -P includes the segment that is still being written.
    fetch = f"barman -c {base.archive.home}/barman.conf get-wal -P main %f > %p"
    options = {"restore_command": fetch, "hot_standby": "off", "archive_mode": "off"}
    with scratch.server(directory, os.environ["POSTGRES_USER"], options, REPLAY_SECONDS) as dsn:
        print(f"replayed until {find_last_transaction(directory / 'log')}", file=sys.stderr)
        dsn = f"{dsn.removesuffix('postgres')}{os.environ['PGDATABASE']}"
        return dump.take(settings, manifest.MOMENT, dsn=dsn, moment=moment, more_media=media, key=key).name


def find_last_transaction(log: Path) -> str:
    """Return the time of the last replayed transaction."""
    found = REACHED.findall(log.read_text())
    return str(found[-1]) if found else "its base backup"


def is_damaged(archive: Archive, log: str) -> bool:
    """Return whether the replay ended before the last segment."""
    high, low = re.findall(r"redo done at (\w+)/(\w+)", log)[-1]
    return f"{int(high, 16):08X}{int(low, 16) >> 24:08X}" < archive.wal()[-1].name[8:24]

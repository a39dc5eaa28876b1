"""Point in time by Barman: it streams WAL and takes base backups, and a recovered moment becomes an ordinary backup.

Each cluster has a Barman of its own in `/wal/SYSTEM_IDENTIFIER`: after an upgrade, or where its volume is gone, another
one begins, and the earlier one can still be recovered from.
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
# `barman cron` starts what streams again where it has ended; the slot keeps the WAL meanwhile.
CRON_SECONDS = 60
# After a base backup that failed; the first one may come before the stream of WAL does.
RETRY = timedelta(minutes=1)
# A week of changes, on a slow disk.
REPLAY_SECONDS = 6 * 3600
EXAMPLE = '"2026-11-22 14:03:00+01:00"'
# What the server says when it ran out of WAL, and how far it came.
TOO_SHORT = "recovery ended before configured recovery target was reached"
REACHED = re.compile(r"last completed transaction was at log time (.+)$", re.M)


@dataclass(frozen=True)
class Base:
    """A base backup: every moment from its end on can be recovered from it and the WAL behind it."""

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
        """Write its configuration as a whole: the health check and a recovery may be reading it."""
        self.home.mkdir(exist_ok=True)
        dsn = "host={PGHOST} user={PGUSER} dbname={PGDATABASE}".format_map(os.environ)
        partial = self.home / "barman.conf.partial"
        partial.write_text(CONFIG.format(home=self.home, dsn=dsn, days=days))
        partial.replace(self.home / "barman.conf")

    def barman(self, *arguments: str) -> str:
        return run("barman", "-c", str(self.home / "barman.conf"), *arguments)

    def bases(self) -> list[Base]:
        """Those that are complete, oldest first."""
        found = json.loads(self.barman("-f", "json", "list-backups", "main"))["main"]
        done = [(int(one["end_time_timestamp"]) + 1, one["backup_id"]) for one in found if one["status"] == "DONE"]
        return [Base(self, name, datetime.fromtimestamp(end, UTC)) for end, name in sorted(done)]

    def wal(self) -> list[Path]:
        """Segments, oldest first; the last one is still being written."""
        files = [*self.home.glob("main/streaming/*"), *self.home.glob("main/wals/*/*")]
        return sorted((file for file in files if re.match("[0-9A-F]{24}", file.name)), key=lambda file: file.name[8:])

    def last_change(self) -> datetime:
        """When WAL was last written into it."""
        return datetime.fromtimestamp(max((file.stat().st_mtime for file in self.wal()), default=0), UTC)


def archives(settings: Settings) -> list[Archive]:
    """The one that was written to last comes last."""
    found = [Archive(path.parent) for path in settings.wal.glob("*/barman.conf")]
    return sorted(found, key=Archive.last_change)


def current(settings: Settings) -> Archive:
    """The one of the database that serves."""
    with closing(database.connect_autocommit("")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return Archive(settings.wal / str(cursor.fetchone()[0]))


def serve(settings: Settings) -> None:
    """The service `barman`: `barman cron` each minute, and a base backup whenever it is time for a backup."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    notify.log("INFO", f"every moment of {settings.pitr_days} days is kept")
    fault, not_before = "", datetime.min.replace(tzinfo=UTC)
    while True:
        now = datetime.now(UTC)
        try:
            archive = current(settings)
            archive.configure(settings.pitr_days)
            archive.barman("cron")
            if now >= not_before:
                not_before = now + RETRY
                take_base(settings, archive, now)
                not_before, fault = now, ""
        except EXPECTED as error:
            # What lasts is reported once.
            if describe(error) != fault:
                fault = describe(error)
                notify.report_failure(settings, "base backup", fault)
        time.sleep(CRON_SECONDS)


def take_base(settings: Settings, archive: Archive, now: datetime) -> None:
    """Where there is none since the last time that backups were to be taken at; verified, then old archives go."""
    bases = archive.bases()
    if bases and bases[-1].end >= settings.schedule.last(now):
        return
    archive.barman("backup", "--wait", "--wait-timeout=60", "main")
    archive.barman("verify-backup", "main", "latest")
    notify.log("INFO", "base backup taken", name=archive.bases()[-1].id)
    for other in archives(settings):
        if other.home != archive.home and now - other.last_change() > timedelta(days=settings.pitr_days):
            shutil.rmtree(other.home)


def check_health(settings: Settings) -> None:
    """Raise BackupError, with what Barman's own check finds."""
    current(settings).barman("check", "--nagios", "main")


def ranges(settings: Settings) -> list[str]:
    """For a person: which moments can be recovered."""
    found = [
        f"from {bases[0].end:%F %T} to {archive.last_change():%F %T} UTC"
        for archive in archives(settings)
        if (bases := archive.bases())
    ]
    return found or ["none: what is lost is what was written since the newest backup (COMPOSE_PROFILES=pitr)"]


def command(settings: Settings, *words: str) -> None:
    """Print the name of the new backup."""
    moment = parse(" ".join(words), datetime.now(UTC))
    with read_identity() as key, lock(settings, "a recovery"):
        print(recover(settings, moment, key))


def parse(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(re.sub(r" ?UTC$", "+00:00", text.strip()))
    except ValueError as error:
        raise BackupError(f"TIME={text} is not a time such as {EXAMPLE}") from error
    if moment.tzinfo is None:
        raise BackupError(f"TIME={text} names no time zone: write {EXAMPLE}, or Z at its end for UTC")
    if moment > now:
        raise BackupError(f"TIME={text} is in the future: it is {now:%F %T} UTC")
    return moment


def recover(settings: Settings, moment: datetime, key: Path | None) -> str:
    """The name of a backup of that moment."""
    base, media = choose(settings, moment), media_around(settings, moment, key)
    is_current = mark(settings, base.archive)
    with scratch.empty(settings.scratch) as directory:
        try:
            return replay(settings, base, directory / "moment", moment, media, key)
        except BackupError:
            log = directory / "moment/log"
            if not log.exists() or TOO_SHORT not in log.read_text():
                raise
            end = reached(log)
            if is_current or is_damaged(base.archive, log.read_text()):
                raise BackupError(f"the WAL is damaged, and can be replayed until {end} only") from None
        # Of a cluster that is gone, nothing tells that its last transaction was the last one: all of it is replayed.
        scratch.clear(directory)
        return replay(settings, base, directory / "moment", moment, media, key, is_end=True)


def choose(settings: Settings, moment: datetime) -> Base:
    """The newest base backup before the moment."""
    bases = [base for archive in archives(settings) for base in archive.bases() if base.end <= moment]
    if not bases:
        covered = " and ".join(ranges(settings))
        raise BackupError(f"TIME={moment.isoformat(' ')} cannot be recovered; moments that can: {covered}")
    base = max(bases, key=lambda base: base.end)
    if base.major != (ours := database.major(database.client_version())):
        raise BackupError(
            f"the archive of that time is of PostgreSQL {base.major}, and this image of {ours}: "
            f"put POSTGRES_MAJOR={base.major} for the recovery, and `make prod-up`"
        )
    return base


def media_around(settings: Settings, moment: datetime, key: Path | None) -> list[Path]:
    """Backups before and after it: files that were there then, and are gone now, are in one of them."""
    sound = [one for one in catalogue.backups(settings) if one.manifest and not one.fault]
    around = [*[one for one in sound if one.taken <= moment][-1:], *[one for one in sound if one.taken > moment][:1]]
    for one in around:
        if one.manifest:
            parts.require_key(one.manifest, key)
    return [settings.backups / one.name for one in around]


def mark(settings: Settings, archive: Archive) -> bool:
    """Have a transaction in the archive that is later than any until now. False where its cluster is gone."""
    try:
        if current(settings) != archive:
            return False
        with closing(database.connect_autocommit("")) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_logical_emit_message(true, 'backup', 'recovery')")
    except EXPECTED:
        return False
    with suppress(BackupError):  # what is there already may be enough
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
    # -P: the segment that is still being written too.
    fetch = f"barman -c {base.archive.home}/barman.conf get-wal -P main %f > %p"
    options = {"restore_command": fetch, "hot_standby": "off", "archive_mode": "off"}
    with scratch.server(directory, os.environ["PGUSER"], options, REPLAY_SECONDS) as dsn:
        print(f"replayed until {reached(directory / 'log')}", file=sys.stderr)
        dsn = f"{dsn.removesuffix('postgres')}{os.environ['PGDATABASE']}"
        return dump.take(settings, manifest.MOMENT, dsn=dsn, moment=moment, more_media=media, key=key).name


def reached(log: Path) -> str:
    """When the last transaction ended that was replayed."""
    found = REACHED.findall(log.read_text())
    return str(found[-1]) if found else "its base backup"


def is_damaged(archive: Archive, log: str) -> bool:
    """Whether the replay ended before the last segment."""
    high, low = re.findall(r"redo done at (\w+)/(\w+)", log)[-1]
    return f"{int(high, 16):08X}{int(low, 16) >> 24:08X}" < archive.wal()[-1].name[8:24]

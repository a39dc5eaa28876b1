"""Recovers the database of a moment: base backups combined, WAL replayed up to then, and that taken as a backup."""

import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from backup import catalogue, database, manifest, scratch, taking, wal_archive, wal_slot
from backup.base_backups import output
from backup.locking import lock
from backup.restoring import identity
from backup.settings import FailedError, Settings
from backup.wal_archive import Archive, Base

EXAMPLE = '"2026-11-22 14:03:00+01:00"'
# A week of changes, on a slow disk.
REPLAY_SECONDS = 6 * 3600.0
# A segment that is complete, or the last one, which may become complete between two looks. What a full disk left of one
# is none.
FETCH = """for name in %f %f.partial %f; do
    file={}/$name
    test "$(stat --format=%%s $file 2>/dev/null)" = 16777216 && exec cp $file %p
done; exit 1"""
# What the server says when it ran out of WAL, and how far it came.
TOO_SHORT = "recovery ended before configured recovery target was reached"
REACHED = re.compile(r"last completed transaction was at log time (.+)$", re.M)
BROKEN = re.compile(r"^LOG: +(.+)\nLOG: +redo done at", re.M)


def command(settings: Settings, *words: str) -> None:
    """Prints the name of the new backup."""
    moment = parsed(" ".join(words), datetime.now(UTC))
    with identity() as key, lock(settings, "a recovery"), taking.in_one_line():
        print(recover(settings, moment, key))


def parsed(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(re.sub(r" ?UTC$", "+00:00", text.strip()))
    except ValueError as error:
        raise FailedError(f"TIME={text} is not a time such as {EXAMPLE}") from error
    if moment.tzinfo is None:
        raise FailedError(f"TIME={text} names no time zone: write {EXAMPLE}, or Z at its end for UTC")
    if moment > now:
        raise FailedError(f"TIME={text} is in the future: it is {now:%F %T} UTC")
    return moment


def recover(settings: Settings, moment: datetime, key: Path | None) -> str:
    """The name of a backup of that moment."""
    clock = time.monotonic()
    media = media_around(settings, moment, key)
    mark(settings)
    archive, base = chosen(settings, moment)
    directory = settings.drill / "moment"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    try:
        count = combine(archive, base, directory / "data")
        combined = time.monotonic()
        with replayed(archive, moment, directory) as dsn:
            say(f"base backups combined: {count}, in {combined - clock:.1f} s")
            say(f"replayed until {reached(directory)}, after {time.monotonic() - clock:.1f} s")
            name = taking.take(settings, manifest.MOMENT, dsn, media, identity=key, moment=moment).name
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    say(f"{moment.isoformat(' ')} is backup {name}, after {time.monotonic() - clock:.1f} s")
    return name


def media_around(settings: Settings, moment: datetime, key: Path | None) -> list[Path]:
    """Backups before and after it: files that were there then, and are gone now, are in one of them."""
    sound = [one for one in catalogue.backups(settings) if one.manifest and not one.fault]
    around = [*[one for one in sound if one.taken <= moment][-1:], *[one for one in sound if one.taken > moment][:1]]
    for one in around:
        if one.manifest and one.manifest.encrypted_to and not key:
            raise FailedError(f"media of that time are in {one.name}, encrypted: IDENTITY=file names the private key")
    return [settings.backups / one.name for one in around]


def mark(settings: Settings) -> None:
    """Have what was committed until now in the archive, unless the database is gone or begins another archive."""
    with suppress(FailedError), wal_slot.connection() as connection:
        if wal_slot.progress(connection).is_streaming:
            wal_slot.mark(connection)


def chosen(settings: Settings, moment: datetime) -> tuple[Archive, Base]:
    """The newest base backup before the moment, in an archive that goes as far."""
    for archive in reversed(wal_archive.archives(settings.wal)):
        if base := wal_archive.base_before(moment, archive.bases()):
            last = wal_archive.last_commit(archive)
            if moment <= (last.time if last else base.finished):
                check_major(base)
                return archive, base
            break
    covered = wal_archive.told(wal_archive.ranges(settings.wal))
    said = f"the WAL archive covers {' and '.join(covered)}" if covered else "there is no WAL archive (WAL_ARCHIVE=1)"
    raise FailedError(f"TIME={moment.isoformat(' ')} cannot be recovered: {said}")


def check_major(base: Base) -> None:
    theirs = (base.path / "PG_VERSION").read_text().strip()
    ours = str(database.major(database.client_version()))
    if theirs != ours:
        raise FailedError(
            f"the archive of that time is of PostgreSQL {theirs}, and this image of {ours}: "
            f"put POSTGRES_MAJOR={theirs} for the recovery, and `make prod-up`"
        )


def combine(archive: Archive, base: Base, directory: Path) -> int:
    """A data directory out of the base backup and those that it needs, each verified; returns how many they were."""
    chain = wal_archive.chain(base, archive.bases())
    for one in chain:
        verify(one)
    paths = [str(one.path) for one in chain]
    output("pg_combinebackup", "--no-sync", "--manifest-checksums=NONE", f"--output={directory}", *paths)
    (directory / "recovery.signal").touch()
    return len(chain)


def verify(base: Base) -> None:
    try:
        output("pg_verifybackup", "--quiet", "--no-parse-wal", str(base.path))
    except FailedError as error:
        raise FailedError(f"base backup {base.path.name} is damaged: {error}") from error


@contextmanager
def replayed(archive: Archive, moment: datetime, directory: Path) -> Iterator[str]:
    """A server with the database of that moment; its connection string."""
    user, name = os.environ["PGUSER"], os.environ["PGDATABASE"]
    try:
        with scratch.server(directory, user, options(archive, moment), REPLAY_SECONDS) as dsn:
            yield f"{dsn} dbname={name}"
    except FailedError as error:
        raise explained(directory, error) from error


def options(archive: Archive, moment: datetime) -> dict[str, str]:
    last = wal_archive.last_commit(archive)
    # Nothing later would tell the server that the last transaction was the last one.
    is_end = last and moment == last.time
    target = {"recovery_target_xid": last.transaction} if last and is_end else {"recovery_target_time": str(moment)}
    # Nobody asks it before it is there; and it would demand the limits of the server that has written the WAL.
    return {
        "restore_command": FETCH.format(archive.segments),
        "recovery_target_action": "promote",
        "hot_standby": "off",
        **target,
    }


def explained(directory: Path, error: FailedError) -> FailedError:
    """What is wrong with the WAL, where that is why the server has ended."""
    log = (directory / "log").read_text()
    if TOO_SHORT not in log:
        return error
    broken = BROKEN.findall(log)
    where = broken[-1] if broken else "a segment is missing"
    return FailedError(f"the WAL archive is damaged ({where}) and can be replayed until {reached(directory)} only")


def reached(directory: Path) -> str:
    """When the last transaction ended that was replayed."""
    found = REACHED.findall((directory / "log").read_text())
    return str(found[-1]) if found else "its base backup"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

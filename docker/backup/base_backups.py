"""Base backups, from which the WAL is replayed: a full one each week, and what has changed since in between."""

import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backup import reporting, wal_archive, wal_slot
from backup.locking import lock
from backup.settings import FailedError, Settings
from backup.taking import sync
from backup.wal_archive import PARTIAL, Archive, Base


def run(settings: Settings, archive: Archive) -> None:
    """Take one, then remove what is too old. A failure is told, then raised."""
    start = time.monotonic()
    try:
        base = take(archive)
        wal_archive.prune(settings.wal, datetime.now(UTC) - timedelta(days=settings.wal_archive_days))
    except (FailedError, OSError) as error:
        reason = str(error)
        reporting.failed(settings, "base backup", reason)
        raise FailedError(reason) from error
    facts = {"name": base.path.name, "kind": "incremental" if base.parent else "full", "bytes": size(base.path)}
    reporting.say("INFO", "base backup taken", **facts, seconds=round(time.monotonic() - start, 2))


def command(settings: Settings) -> None:
    """One now, whatever the schedule says."""
    known = wal_archive.archives(settings.wal)
    if not settings.wal_archive or not known:
        raise FailedError("there is no WAL archive that a base backup could belong to (WAL_ARCHIVE=1)")
    with lock(settings, "a base backup"):
        run(settings, known[-1])


def take(archive: Archive) -> Base:
    """Incremental where it can be, else full."""
    bases = archive.bases()
    if not wal_archive.needs_full(bases, datetime.now(UTC)):
        try:
            return take_after(archive, bases[-1])
        except FailedError as error:
            reporting.say("WARNING", f"no incremental base backup could be taken, a full one follows: {error}")
    return take_after(archive, None)


def take_after(archive: Archive, parent: Base | None) -> Base:
    """Verified, and on the disk, before it has a name."""
    wal_archive.remove_leftovers(archive.path.parent)
    partial = archive.base_directory / f"{PARTIAL}new"
    try:
        copy(partial, parent)
        with wal_slot.connection() as connection:
            wal_slot.wait_until_archived(connection)
        output("pg_verifybackup", "--quiet", f"--wal-directory={archive.segments}", str(partial))
        return Base.read(named(partial))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def copy(directory: Path, parent: Base | None) -> None:
    """Without the WAL that it needs: the archive has it."""
    command = ["pg_basebackup", f"--pgdata={directory}", "--wal-method=none", "--checkpoint=fast", "--no-password"]
    if parent:
        command.append(f"--incremental={parent.path / 'backup_manifest'}")
    output(*command, "--manifest-checksums=SHA256")


def named(partial: Path) -> Path:
    """Moved to the name that it is found by."""
    while (path := partial.with_name(datetime.now(UTC).strftime(wal_archive.NAME_FORMAT))).exists():
        time.sleep(0.1)
    partial.rename(path)
    sync(path.parent)
    return path


def output(*command: str) -> str:
    """Raises FailedError with the first line that tells why it failed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        telling = [line for line in lines if "error:" in line]
        raise FailedError((telling or lines or [f"{command[0]} ended with {done.returncode}"])[0])
    return done.stdout


def size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())

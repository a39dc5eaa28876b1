"""Takes a backup. The directory gets its name only when everything is verified and on disk."""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backup import database, manifest, media, parts
from backup.errors import BackupError
from backup.manifest import DATABASE, ENCRYPTED, MEDIA, NAME_FORMAT, PARTIAL, Manifest
from backup.programs import run
from backup.settings import Settings

# How long the dump waits for a table that a migration has locked.
LOCK_WAIT = "60s"
ALMOST_FULL = 2**20  # bytes


def take(
    settings: Settings,
    kind: str,
    *,
    dsn: str = "",
    moment: datetime | None = None,
    more_media: Sequence[Path] = (),
    key: Path | None = None,
) -> Manifest:
    """Take a backup of the media and of the database at `dsn`, by default that of PGHOST.

    `moment`: the point in time that the database at `dsn` was recovered to. `more_media`: directories of backups whose
    media are added if missing; `key` decrypts them. The caller holds the lock. On failure nothing is left behind.
    """
    clear_partials(settings.backups)
    started = unused_second(settings.backups)
    name = f"{started:{NAME_FORMAT}}"
    directory = settings.backups / f"{PARTIAL}{name}"
    directory.mkdir(mode=0o700)
    try:
        facts = write_parts(settings, directory, dsn, more_media, key)
        encrypt(directory, settings.recipients)
        facts["files"] = {path.name: parts.measure(path) for path in sorted(directory.iterdir())}
        found = Manifest(name, kind, started, datetime.now(UTC), moment=moment, **facts)
        (directory / manifest.FILE).write_text(found.as_text(), encoding="utf-8")
        os.sync()
        directory.rename(settings.backups / name)
        os.sync()
    except BackupError as error:
        # tar does not report a full disk.
        is_full = shutil.disk_usage(directory).free < ALMOST_FULL
        raise BackupError(f"{'No space left on device: ' if is_full else ''}{error}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)  # already renamed on success
    return found


def write_parts(
    settings: Settings, directory: Path, dsn: str, more_media: Sequence[Path], key: Path | None
) -> dict[str, Any]:
    """Write the unencrypted parts, read them back, and return the facts for the manifest."""
    archive, connection_string = directory / MEDIA, database.add_timeouts(dsn)
    with closing(database.connect(dsn)) as connection:
        database.check_major(connection)
        # Before the snapshot and again after it, so that every row in the snapshot has its file.
        archive_media("--create", archive, settings.media)
        snapshot = database.export_snapshot(connection)
        archive_media("--update", archive, settings.media)
        for backup in more_media:
            add_media_of(backup, key, archive)
        contents = database.read_contents(connection)
        options = ["--format=custom", "--compress=zstd", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}"]
        run("pg_dump", *options, "--no-password", f"--file={directory / DATABASE}", f"--dbname={connection_string}")
        parts.read_dump(directory / DATABASE)
        return {
            "server_version": database.server_version(connection),
            "database": connection.info.dbname,
            "database_size": database.size(connection),
            "migrations": database.migrations(connection),
            "encrypted_to": settings.recipients,
            "contents": contents,
            "media": parts.media_hashes(archive),
        }


def archive_media(action: str, archive: Path, directory: Path) -> None:
    # 1: a file changed meanwhile. The posix format has timestamps precise enough for --update to notice.
    # Downloads are made again on demand, and deleted after a day.
    options = ["--format=posix", "--exclude=./downloads", f"--file={archive}", f"--directory={directory}"]
    run("tar", action, *options, ".", allowed=(0, 1))


def add_media_of(backup: Path, key: Path | None, archive: Path) -> None:
    """The media of another backup that are not in the archive yet."""
    known, available = parts.media_hashes(archive), manifest.read(backup).media
    with parts.open_parts(backup, key) as plain, tempfile.TemporaryDirectory(dir=archive.parent) as directory:
        media.unpack(plain / MEDIA, Path(directory), {name: available[name] for name in available.keys() - known})
        archive_media("--append", archive, Path(directory))


def encrypt(directory: Path, recipients: Sequence[str]) -> None:
    """Encrypt each part to the recipients, whose private keys are not on this server."""
    to = [f"--recipient={recipient}" for recipient in recipients]
    for path in sorted(directory.iterdir()) if recipients else ():
        run("age", "--encrypt", *to, f"--output={path}{ENCRYPTED}", str(path))
        path.unlink()


def clear_partials(backups: Path) -> None:
    """Remove leftovers of killed runs. The caller holds the lock."""
    for leftover in backups.glob(f"{PARTIAL}*"):
        shutil.rmtree(leftover)


def unused_second(backups: Path) -> datetime:
    """Now, or the next second whose name is not taken."""
    while (backups / f"{(now := datetime.now(UTC)):{NAME_FORMAT}}").exists():
        time.sleep(0.1)
    return now

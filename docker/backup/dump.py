"""Takes a backup by one program after the other: nothing has its name before all of it is verified and on the disk."""

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
from backup.errors import FailedError
from backup.manifest import DATABASE, ENCRYPTED, MEDIA, NAME_FORMAT, PARTIAL, Manifest
from backup.programs import run
from backup.settings import Settings

# How long a migration may keep a table locked before the dump gives up.
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
    """Take a backup of the media and of the database at `dsn`, by PGHOST and the like where none is given.

    `moment`: when the database was as it is at `dsn`, where that was recovered. `more_media`: directories of backups
    whose media are added where they are gone, and `key` opens them. The caller holds the lock. Leaves nothing where it
    fails.
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
    except FailedError as error:
        # tar does not say why it wrote less than it wanted.
        is_full = shutil.disk_usage(directory).free < ALMOST_FULL
        raise FailedError(f"{'No space left on device: ' if is_full else ''}{error}") from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)  # gone where it has its name
    return found


def write_parts(
    settings: Settings, directory: Path, dsn: str, more_media: Sequence[Path], key: Path | None
) -> dict[str, Any]:
    """Write them in plain text, read them back, and return what the manifest says of them."""
    archive, connection_string = directory / MEDIA, database.patient(dsn)
    with closing(database.connect(dsn)) as connection:
        database.check_major(connection)
        # Before the snapshot and, what has come since, after it: no row that it sees is without its file.
        archive_media("--create", archive, settings.media)
        snapshot = database.export_snapshot(connection)
        archive_media("--update", archive, settings.media)
        for backup in more_media:
            add_media_of(backup, key, archive)
        contents = database.contents(connection)
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
    # 1: a file came, grew or went meanwhile. The posix format knows times finely enough to see that one grew.
    run("tar", action, "--format=posix", f"--file={archive}", f"--directory={directory}", ".", allowed=(0, 1))


def add_media_of(backup: Path, key: Path | None, archive: Path) -> None:
    """The media of another backup that are not in the archive yet."""
    known, media_there = parts.media_hashes(archive), manifest.read(backup).media
    with parts.opened(backup, key) as plain, tempfile.TemporaryDirectory(dir=archive.parent) as directory:
        media.unpack(plain / MEDIA, Path(directory), {name: media_there[name] for name in media_there.keys() - known})
        archive_media("--append", archive, Path(directory))


def encrypt(directory: Path, recipients: Sequence[str]) -> None:
    """Replace each part by one that only the recipients can read, of whom none has a key here."""
    to = [f"--recipient={recipient}" for recipient in recipients]
    for path in sorted(directory.iterdir()) if recipients else ():
        run("age", "--encrypt", *to, f"--output={path}{ENCRYPTED}", str(path))
        path.unlink()


def clear_partials(backups: Path) -> None:
    """What a run left that was killed; whoever holds the lock may."""
    for left in backups.glob(f"{PARTIAL}*"):
        shutil.rmtree(left)


def unused_second(backups: Path) -> datetime:
    """Now, or a moment later where a backup is called like that already."""
    while (backups / f"{(now := datetime.now(UTC)):{NAME_FORMAT}}").exists():
        time.sleep(0.1)
    return now

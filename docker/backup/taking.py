"""Taking a backup: nothing bears its name before all of it has been verified and is on the disk."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2

from backup import database, manifest, parts
from backup.archive import MediaArchive
from backup.locking import PATIENCE, lock
from backup.manifest import File, Manifest
from backup.programs import output_of
from backup.settings import FailedError, Settings

PARTIAL = ".partial-"
# How long a migration may keep a table locked before the dump gives up.
LOCK_WAIT = "60s"


class Stages(dict[str, float]):
    """The seconds that each stage took."""

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self[name] = round(time.monotonic() - start, 2)


def take(
    settings: Settings,
    kind: str,
    dsn: str | None = None,
    more_media: Sequence[Path] = (),
    *,
    identity: Path | None = None,
    moment: datetime | None = None,
    stages: Stages | None = None,
    patience: float = PATIENCE,
) -> Manifest:
    """A new backup of the media and of the database at `dsn`, by PGHOST and the like where none is given.

    `more_media`: directories of backups whose media are added where they are gone; `identity` is the key they need.
    `moment`: when the database was as it is at `dsn`, where that was recovered.
    `stages` is filled in. `patience`: seconds to wait for another one. Raises FailedError, and then leaves nothing.
    """
    with lock(settings, f"a {kind} backup", patience), in_one_line():
        clear_partials(settings.backups)
        started = unused_second(settings.backups)
        name = f"{started:%Y%m%dT%H%M%SZ}"
        with partial(settings.backups, name) as directory:
            taking = Taking(settings, directory, Stages() if stages is None else stages)
            facts = taking.all_parts(dsn, more_media, identity)
            found = Manifest(name, kind, started, datetime.now(UTC), moment=moment, **facts)
            write(directory / manifest.FILE, found.as_text())
        return found


class Taking:
    """One backup on its way into the directory."""

    def __init__(self, settings: Settings, directory: Path, stages: Stages) -> None:
        self.settings, self.directory, self.stages = settings, directory, stages
        self.files: dict[str, File] = {}

    def all_parts(self, dsn: str | None, more_media: Sequence[Path], identity: Path | None) -> dict[str, Any]:
        with closing(database.connect(dsn)) as connection:
            database.check_major(connection)
            snapshot, media = self.media(connection, more_media, identity)
            with self.stages.timed("contents"):
                contents = database.contents(connection)
            self.output(parts.DATABASE, dsn, "pg_dump", "--format=custom", "--compress=zstd", f"--snapshot={snapshot}")
            self.output(parts.GLOBALS, dsn, "pg_dumpall", "--globals-only")
            return {
                "server_version": database.server_version(connection),
                "database": connection.info.dbname,
                "database_size": database.size(connection),
                "migrations": database.migrations(connection),
                "files": self.files,
                "encrypted_to": self.settings.recipients,
                "contents": contents,
                "media": media,
            }

    def media(self, connection: Any, more: Sequence[Path], identity: Path | None) -> tuple[str, dict[str, str]]:
        """Before the snapshot and, what has come since, after it: no row that it sees is without its file."""
        with (
            self.stages.timed("media"),
            parts.writing(self.directory, parts.MEDIA, self.settings.recipients) as (new, tee),
            closing(MediaArchive(tee, self.settings.media)) as archive,
        ):
            archive.add_new()
            snapshot = database.export_snapshot(connection)
            archive.add_new()
            for directory in more:
                archive.add_from(directory, identity)
        self.files[new.name] = new.file
        if new.check.result != archive.hashes:
            raise FailedError(f"{parts.MEDIA} was read back as something else than what was written")
        return snapshot, archive.hashes

    def output(self, part: str, dsn: str | None, program: str, *options: str) -> None:
        """A part that a program of PostgreSQL's writes."""
        wait = [f"--lock-wait-timeout={LOCK_WAIT}"] if part == parts.DATABASE else []
        command = [program, *options, *wait, "--no-password", f"--dbname={database.patient(dsn)}"]
        with (
            self.stages.timed(part.partition(".")[0]),
            parts.writing(self.directory, part, self.settings.recipients) as (new, tee),
            output_of(command) as stream,
        ):
            tee.copy(stream)
        self.files[new.name] = new.file


@contextmanager
def in_one_line() -> Iterator[None]:
    try:
        yield
    except psycopg2.Error as error:
        raise FailedError(f"the database: {database.one_line(error)}") from error
    except OSError as error:
        raise FailedError(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from error


@contextmanager
def partial(backups: Path, name: str) -> Iterator[Path]:
    """A directory that gets its name when the block has ended well, and is removed otherwise."""
    directory = backups / f"{PARTIAL}{name}"
    directory.mkdir(mode=0o700)
    try:
        yield directory
        sync(directory)
        directory.rename(backups / name)
        sync(backups)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def clear_partials(backups: Path) -> None:
    """What a run left that was killed; whoever holds the lock may."""
    for left in backups.glob(f"{PARTIAL}*"):
        shutil.rmtree(left)


def unused_second(backups: Path) -> datetime:
    """Now, or a moment later where a backup is called like that already."""
    while (backups / f"{(now := datetime.now(UTC)):%Y%m%dT%H%M%SZ}").exists():
        time.sleep(0.1)
    return now


def write(path: Path, text: str) -> None:
    """On the disk when it returns."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync(directory: Path) -> None:
    """Of names, as fsync is of contents."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

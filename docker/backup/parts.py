"""The parts of a backup: verified against the manifest, decrypted, and loaded into a database."""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg2 import sql
from psycopg2.extensions import make_dsn

from backup import catalogue, database, manifest
from backup.errors import BackupError
from backup.manifest import DATABASE, ENCRYPTED, MEDIA, PARTIAL, PARTS, File, Manifest
from backup.programs import run

# The application's role: docker/postgres/roles.sql.
OWNER = "app"
# Number of differences in an error message.
MAX_DIFFERENCES = 3


def verify(directory: Path, key: Path | None = None) -> Manifest:
    """Compare every byte with the manifest, and read the parts unless they are encrypted and there is no key."""
    found = manifest.read(directory)
    if {name.removesuffix(ENCRYPTED) for name in found.files} != set(PARTS):
        raise BackupError(f"{directory.name}: its manifest names {', '.join(sorted(found.files))} only")
    if fault := catalogue.size_error(directory, found):
        raise BackupError(f"{directory.name}: {fault}")
    for name, file in found.files.items():
        if measure(directory / name) != file:
            raise BackupError(f"{directory.name}: {name} is damaged: its SHA-256 does not match")
    if key or not found.encrypted_to:
        with open_parts(directory, key) as plain:
            read_dump(plain / DATABASE)
            if media_hashes(plain / MEDIA) != found.media:
                raise BackupError(f"{directory.name}: the files in {MEDIA} differ from its manifest")
    return found


def measure(path: Path) -> File:
    with path.open("rb") as stream:
        return File(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def read_dump(dump: Path) -> None:
    """Read the whole dump as a restore does; raise BackupError if it is damaged."""
    run("pg_restore", "--file=/dev/null", str(dump))


def media_hashes(archive: Path) -> dict[str, str]:
    """SHA-256 by path; of a file that is there twice, the last one counts, as for unpacking."""
    found = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if member.isfile() and (content := tar.extractfile(member)):
                    found[media_name(member)] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(f"{MEDIA} cannot be read: {error}") from error
    return found


def media_name(member: tarfile.TarInfo) -> str:
    """The path without the `./` that tar puts first."""
    return member.name.removeprefix("./")


@contextmanager
def open_parts(directory: Path, key: Path | None = None) -> Iterator[Path]:
    """Yield a directory with the unencrypted parts: the backup's own, or a temporary one."""
    found = manifest.read(directory)
    require_key(found, key)
    if not found.encrypted_to or not key:
        yield directory
        return
    with TemporaryDirectory(prefix=PARTIAL, dir=directory.parent) as plain:
        try:
            for part in PARTS:
                decrypt(directory / f"{part}{ENCRYPTED}", Path(plain) / part, key)
        except BackupError as error:
            if "no identity matched" not in str(error):
                raise
            owners = ", ".join(found.encrypted_to)
            raise BackupError(
                f"{found.name} cannot be decrypted with the key in IDENTITY; it is encrypted to {owners}"
            ) from error
        yield Path(plain)


def require_key(found: Manifest, key: Path | None) -> None:
    if found.encrypted_to and not key:
        owners = ", ".join(found.encrypted_to)
        raise BackupError(f"{found.name} is encrypted to {owners}: set IDENTITY to the file of the private key")


def decrypt(stored: Path, plain: Path, key: Path) -> None:
    run("age", "--decrypt", f"--identity={key}", f"--output={plain}", str(stored))


def load(directory: Path, key: Path | None, dsn: str, name: str) -> database.Contents:
    """Load the dump into a new database with this name, and return its contents after comparing them.

    Raises BackupError if they differ from the manifest; the caller drops the database. Everything belongs to the
    application's role, which also runs the statements of the dump: they can do no more than the application.
    """
    wanted, loaded = manifest.read(directory), make_dsn(dsn, dbname=name)
    with closing(database.connect_autocommit(dsn)) as connection, connection.cursor() as cursor:
        names = sql.Identifier(name), sql.Identifier(OWNER)
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(*names))
    options = ["--exit-on-error", "--no-owner", "--no-privileges", "--no-tablespaces"]
    with open_parts(directory, key) as plain:
        try:
            as_owner = os.environ | {"PGPASSWORD": os.environ.get("APP_PASSWORD", "")}
            target = make_dsn(loaded, user=OWNER)
            run("pg_restore", *options, f"--dbname={target}", str(plain / DATABASE), environment=as_owner)
        except BackupError as error:
            raise BackupError(f"the database cannot be loaded: {error}") from error
    return compare_contents(wanted, loaded)


def compare_contents(wanted: Manifest, dsn: str) -> database.Contents:
    with closing(database.connect_autocommit(dsn)) as connection, connection.cursor() as cursor:
        found = database.read_contents(connection)
        if wrong := database.find_differences(wanted.contents, found):
            more = f", and {len(wrong) - MAX_DIFFERENCES} more" if len(wrong) > MAX_DIFFERENCES else ""
            raise BackupError(
                f"the loaded database differs from the backup: {'; '.join(wrong[:MAX_DIFFERENCES])}{more}"
            )
        # A dump does not contain the planner's statistics.
        cursor.execute("ANALYZE")
    return found

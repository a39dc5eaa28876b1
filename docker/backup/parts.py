"""The parts of a backup that is there: verified against its manifest, decrypted, and loaded into a database."""

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg2 import sql
from psycopg2.extensions import make_dsn

from backup import catalogue, database, manifest
from backup.errors import FailedError
from backup.manifest import DATABASE, ENCRYPTED, MEDIA, PARTIAL, PARTS, File, Manifest
from backup.programs import run

# Of differences, in an error.
SHOWN = 3


def verify(directory: Path, key: Path | None = None) -> Manifest:
    """Compare every byte with the manifest, and read through what is plain or can be decrypted."""
    found = manifest.read(directory)
    if {name.removesuffix(ENCRYPTED) for name in found.files} != set(PARTS):
        raise FailedError(f"{directory.name}: its manifest names {', '.join(sorted(found.files))} only")
    if fault := catalogue.wrong_size(directory, found):
        raise FailedError(f"{directory.name}: {fault}")
    for name, file in found.files.items():
        if measure(directory / name) != file:
            raise FailedError(f"{directory.name}: {name} has been changed: its SHA-256 is another one")
    if key or not found.encrypted_to:
        with opened(directory, key) as plain:
            read_dump(plain / DATABASE)
            if media_hashes(plain / MEDIA) != found.media:
                raise FailedError(f"{directory.name}: {MEDIA} holds other files than its manifest names")
    return found


def measure(path: Path) -> File:
    with path.open("rb") as stream:
        return File(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())


def read_dump(dump: Path) -> None:
    """Every row, as a restore reads it."""
    run("pg_restore", "--file=/dev/null", str(dump))


def media_hashes(archive: Path) -> dict[str, str]:
    """SHA-256 by path; of a file that is there twice, of the last one, which is the one that is unpacked."""
    found = {}
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                if member.isfile() and (content := tar.extractfile(member)):
                    found[media_name(member)] = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    except (tarfile.TarError, EOFError) as error:
        raise FailedError(f"{MEDIA} cannot be read: {error}") from error
    return found


def media_name(member: tarfile.TarInfo) -> str:
    """tar names what is in a directory `./photos/1.png`."""
    return member.name.removeprefix("./")


@contextmanager
def opened(directory: Path, key: Path | None = None) -> Iterator[Path]:
    """A directory with the plain parts: the backup's own, or one into which they are decrypted for the block."""
    found = manifest.read(directory)
    require_key(found, key)
    if not found.encrypted_to or not key:
        yield directory
        return
    with TemporaryDirectory(prefix=PARTIAL, dir=directory.parent) as plain:
        try:
            for part in PARTS:
                decrypt(directory / f"{part}{ENCRYPTED}", Path(plain) / part, key)
        except FailedError as error:
            if "no identity matched" not in str(error):
                raise
            owners = ", ".join(found.encrypted_to)
            raise FailedError(
                f"{found.name} is not encrypted to the key that IDENTITY names, but to {owners}"
            ) from error
        yield Path(plain)


def require_key(found: Manifest, key: Path | None) -> None:
    if found.encrypted_to and not key:
        owners = ", ".join(found.encrypted_to)
        raise FailedError(f"{found.name} is encrypted: IDENTITY=file names the private key of {owners}")


def decrypt(stored: Path, plain: Path, key: Path) -> None:
    run("age", "--decrypt", f"--identity={key}", f"--output={plain}", str(stored))


def load(directory: Path, key: Path | None, dsn: str, name: str) -> database.Contents:
    """Load the database into a new one of this name, and return its contents, which are what the manifest says.

    Raises FailedError where they are not; the database stays then, for the caller to drop. Everything belongs to the
    role that loads it: roles are not part of a backup.
    """
    wanted, loaded = manifest.read(directory), make_dsn(dsn, dbname=name)
    with closing(database.session(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    options = ["--exit-on-error", "--no-owner", "--no-privileges", "--no-tablespaces"]
    with opened(directory, key) as plain:
        try:
            run("pg_restore", *options, f"--dbname={loaded}", str(plain / DATABASE))
        except FailedError as error:
            raise FailedError(f"the database cannot be loaded: {error}") from error
    return compare_contents(wanted, loaded)


def compare_contents(wanted: Manifest, dsn: str) -> database.Contents:
    with closing(database.session(dsn)) as connection, connection.cursor() as cursor:
        found = database.contents(connection)
        if wrong := database.differences(wanted.contents, found):
            more = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
            raise FailedError(f"what was loaded is not what was backed up: {'; '.join(wrong[:SHOWN])}{more}")
        # No dump has the statistics by which queries are planned.
        cursor.execute("ANALYZE")
    return found

"""The parts of a backup: each is read to its end while it is written, and read back from the disk afterwards."""

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from backup import manifest
from backup.manifest import File, Manifest
from backup.programs import PIECE, Program, Reader, Reading, Sink, Tee, filling, output_of
from backup.settings import FailedError

GLOBALS, DATABASE, MEDIA = PARTS = ("globals.sql", "database.dump", "media.tar")
ENCRYPTED = ".age"
# The last thing that pg_dumpall writes.
GLOBALS_END = b"PostgreSQL database cluster dump complete"


class Stored:
    """A sink: the file, complete on the disk or not at all."""

    def __init__(self, path: Path) -> None:
        self.path, self.size, self.hash = path, 0, hashlib.sha256()
        self.stream = path.open("xb")

    def write(self, data: bytes) -> None:
        try:
            self.stream.write(data)
        except OSError as error:
            raise FailedError(f"{self.path.name} could not be written: {error.strerror}") from error
        self.hash.update(data)
        self.size += len(data)

    def finish(self) -> None:
        try:
            self.stream.flush()
            os.fsync(self.stream.fileno())
        except OSError as error:
            raise FailedError(f"{self.path.name} could not be written: {error.strerror}") from error
        # What is read back must come from the disk, not from memory.
        os.posix_fadvise(self.stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self.stream.close()
        if measured(self.path) != self.file:
            raise FailedError(f"{self.path.name} was read back from the disk as something else")

    def abort(self) -> None:
        try:
            self.stream.close()
        except OSError:  # what is in its buffer has no room on the disk
            self.stream.raw.close()

    @property
    def file(self) -> File:
        return File(self.size, self.hash.hexdigest())


class Encrypted:
    """A sink: the same for some recipients, of whom none has a key here."""

    def __init__(self, path: Path, recipients: Sequence[str]) -> None:
        to = [part for recipient in recipients for part in ("--recipient", recipient)]
        self.stored = Stored(path)
        self.age = Program(["age", "--encrypt", *to], subprocess.PIPE)
        assert self.age.process.stdout  # noqa: S101 - for the type checker
        self.reading = Reading(self.age.process.stdout, Tee([self.stored]).copy)

    def write(self, data: bytes) -> None:
        try:
            self.age.write(data)
        except FailedError:
            self.reading.end()  # where nobody reads it any more, that is the reason
            raise

    def finish(self) -> None:
        try:
            self.age.finish()
        finally:
            self.reading.end()
        self.stored.finish()

    def abort(self) -> None:
        self.age.abort()
        self.reading.thread.join()
        self.stored.abort()

    @property
    def file(self) -> File:
        return self.stored.file


class GlobalsCheck:
    """A sink: roles and the like, up to the last line."""

    result = None

    def __init__(self) -> None:
        self.end = b""

    def write(self, data: bytes) -> None:
        self.end = (self.end + data)[-200:]

    def finish(self) -> None:
        if GLOBALS_END not in self.end:
            raise FailedError(f"{GLOBALS} ends too early")

    def abort(self) -> None: ...


class DatabaseCheck(Program):
    """A sink: every row of it, as a restore reads it."""

    result = None

    def __init__(self) -> None:
        super().__init__(["pg_restore", "--file=/dev/null"])


class MediaCheck(Reader):
    """A sink; its result is the SHA-256 of each file that was read from the archive, by path."""

    def __init__(self) -> None:
        super().__init__(hashes)


Check = GlobalsCheck | DatabaseCheck | MediaCheck
CHECKS: dict[str, Callable[[], Check]] = {GLOBALS: GlobalsCheck, DATABASE: DatabaseCheck, MEDIA: MediaCheck}


def hashes(stream: IO[bytes]) -> dict[str, str]:
    """Of an archive's files; of those that are there twice, of the last one, which is the one that is unpacked."""
    found = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if content := archive.extractfile(member):
                    found[member.name] = digest(content).sha256
    except (tarfile.TarError, EOFError) as error:
        raise FailedError(f"{MEDIA} cannot be read: {error}") from error
    return found


class Writing:
    """A part on its way; `file` and `result` are known after the block."""

    def __init__(self, directory: Path, part: str, recipients: Sequence[str]) -> None:
        self.name = part + (ENCRYPTED if recipients else "")
        self.check = CHECKS[part]()
        path = directory / self.name
        self.store: Stored | Encrypted = Encrypted(path, recipients) if recipients else Stored(path)

    @property
    def file(self) -> File:
        return self.store.file


@contextmanager
def writing(directory: Path, part: str, recipients: Sequence[str]) -> Iterator[tuple[Writing, Tee]]:
    """A new part, and where to write its contents to."""
    new = Writing(directory, part, recipients)
    sinks: list[Sink] = [new.check, new.store]
    with filling(*sinks) as tee:
        yield new, tee


@contextmanager
def reading(directory: Path, part: str, identity: Path | None = None) -> Iterator[IO[bytes]]:
    """The contents of a part, decrypted where it is encrypted; a real file, which can be a program's input.

    Raises FailedError where the key is wrong, or where it cannot be decrypted to its end. A plain part is taken as it
    is: `verify` compares its SHA-256.
    """
    path = directory / part
    if path.exists():
        with path.open("rb") as plain:
            yield plain
        return
    path = directory / f"{part}{ENCRYPTED}"
    if not path.exists():
        raise FailedError(f"{directory.name}: {part} is missing")
    if not identity:
        raise FailedError(f"{directory.name} is encrypted: IDENTITY=file names the private key of {owners(directory)}")
    with path.open("rb") as stored, decrypted(directory, stored, identity) as plain:
        yield plain


@contextmanager
def decrypted(directory: Path, stored: IO[bytes], identity: Path) -> Iterator[IO[bytes]]:
    try:
        with output_of(["age", "--decrypt", "--identity", str(identity)], stored) as plain:
            yield plain
    except FailedError as error:
        if "no identity matched" in str(error):
            raise FailedError(
                f"{directory.name} is not encrypted to the key that IDENTITY names, but to {owners(directory)}"
            ) from error
        raise


def owners(directory: Path) -> str:
    return ", ".join(manifest.read(directory).encrypted_to)


def verify(directory: Path, identity: Path | None = None) -> Manifest:
    """Compare every byte with the manifest, and read through what is plain or can be decrypted."""
    found = manifest.read(directory)
    for name, file in found.files.items():
        compare(directory / name, file)
    if {name.removesuffix(ENCRYPTED) for name in found.files} != set(PARTS):
        raise FailedError(f"{directory.name}: its manifest names {', '.join(sorted(found.files))} only")
    if identity or not found.encrypted_to:
        for part in PARTS:
            read_through(found, directory, part, identity)
    return found


def compare(path: Path, file: File) -> None:
    name = f"{path.parent.name}: {path.name}"
    if not path.exists():
        raise FailedError(f"{name} is missing")
    if (size := path.stat().st_size) != file.size:
        raise FailedError(f"{name} has {size} bytes instead of {file.size}")
    if measured(path) != file:
        raise FailedError(f"{name} has been changed: its SHA-256 is another one")


def read_through(found: Manifest, directory: Path, part: str, identity: Path | None) -> None:
    check = CHECKS[part]()
    try:
        with reading(directory, part, identity) as stream, filling(check) as tee:
            tee.copy(stream)
    except OSError as error:
        raise FailedError(f"{directory.name}: {part} cannot be read: {error.strerror}") from error
    if part == MEDIA and check.result != found.media:
        raise FailedError(f"{directory.name}: {part} holds other files than its manifest names")


def measured(path: Path) -> File:
    with path.open("rb") as stream:
        return digest(stream)


def digest(stream: IO[bytes]) -> File:
    found, size = hashlib.sha256(), 0
    while piece := stream.read(PIECE):
        found.update(piece)
        size += len(piece)
    return File(size, found.hexdigest())

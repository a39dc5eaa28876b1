"""Uploaded files. Each has a name of its own and never changes: more of them than the rows name harm nobody."""

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import IO

from backup.manifest import Manifest
from backup.programs import PIECE
from backup.settings import FailedError

# Of a file that is being written; a run that is killed leaves it, and the next one removes it.
PARTIAL = ".restoring-"


def lacking(media: Path, manifest: Manifest) -> list[str]:
    """Those of the backup that are not in this directory, or are damaged there."""
    return [name for name, digest in manifest.media.items() if sha256_of(place(media, name)) != digest]


def unpack(archive: IO[bytes], media: Path, manifest: Manifest, names: Collection[str]) -> None:
    """Put these of the archive's files into the directory, each as a whole and as the manifest has it."""
    remove_partial(media)
    wanted = set(names)
    try:
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            for member in tar:
                if member.name in wanted and put(tar, member, place(media, member.name), manifest.media[member.name]):
                    wanted.discard(member.name)
    except (tarfile.TarError, EOFError) as error:
        raise FailedError(f"media.tar cannot be read: {error}") from error
    os.sync()  # all at once, where one after the other would take many times as long
    if wanted:
        raise FailedError(f"media.tar has not what the manifest names, in {len(wanted)} files, such as {min(wanted)}")


def put(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, digest: str) -> bool:
    """Whether it is the one that is wanted; of one that changed while it was read there is another behind it."""
    source = tar.extractfile(member)
    if not source:
        return False
    make(path.parent)
    with tempfile.NamedTemporaryFile(prefix=PARTIAL, dir=path.parent, delete=False) as file:
        found = copied(source, file)
        os.fchmod(file.fileno(), member.mode & 0o777)
    if found != digest:
        os.unlink(file.name)
        return False
    os.utime(file.name, (member.mtime, member.mtime))
    os.rename(file.name, path)
    return True


def make(directory: Path) -> None:
    """As web makes it: nginx, which is another user, reads what is in it."""
    if not directory.exists():
        make(directory.parent)
        directory.mkdir()
        directory.chmod(0o755)


def copied(source: IO[bytes], target: IO[bytes]) -> str:
    """The SHA-256 of what was copied."""
    found = hashlib.sha256()
    while piece := source.read(PIECE):
        found.update(piece)
        target.write(piece)
    return found.hexdigest()


def remove(media: Path, names: Collection[str]) -> None:
    for name in names:
        place(media, name).unlink(missing_ok=True)


def remove_partial(media: Path) -> None:
    for path in media.rglob(f"{PARTIAL}*"):
        path.unlink()


def place(media: Path, name: str) -> Path:
    """Where the file belongs; never outside of the directory, whatever a manifest says."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise FailedError(f"{name!r} is not the name of an uploaded file")
    return media.joinpath(*parts)


def sha256_of(path: Path) -> str:
    """Blank where there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""

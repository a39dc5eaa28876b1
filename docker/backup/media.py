"""Uploaded files. Each has a name of its own and never changes: more of them than the rows name harm nobody."""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from backup.errors import FailedError
from backup.parts import media_name

# Of a file that is being written; a run that is killed leaves it, and the next one removes it.
PARTIAL = ".restoring-"


def lacking(media: Path, wanted: Mapping[str, str]) -> list[str]:
    """Those that are not in this directory, or are damaged there; `wanted` is SHA-256 by path."""
    return [name for name, digest in wanted.items() if sha256_of(place(media, name)) != digest]


def unpack(archive: Path, media: Path, wanted: Mapping[str, str]) -> None:
    """Put these of the archive's files into the directory, each as a whole and with this SHA-256."""
    remove_partial(media)
    missing = dict(wanted)
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            name = media_name(member)
            if member.isfile() and name in missing and put(tar, member, place(media, name), missing[name]):
                del missing[name]
    os.sync()  # all at once, where one after the other would take many times as long
    if missing:
        raise FailedError(f"media.tar lacks {len(missing)} files that the manifest names, such as {min(missing)}")


def put(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, digest: str) -> bool:
    """Whether it is the one that is wanted; of one that changed while it was read there is another behind it."""
    source = tar.extractfile(member)
    if not source:
        return False
    make(path.parent)
    with tempfile.NamedTemporaryFile(prefix=PARTIAL, dir=path.parent, delete=False) as file:
        shutil.copyfileobj(source, file)
        os.fchmod(file.fileno(), member.mode & 0o777)
    if sha256_of(Path(file.name)) != digest:
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

"""Uploaded files. Names are unique and files never change, so files without a row are harmless."""

import hashlib
import os
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from backup.errors import BackupError
from backup.parts import media_name

# Prefix of files being written; a killed run leaves them, and the next one removes them.
PARTIAL = ".restoring-"


def find_missing(media: Path, wanted: Mapping[str, str]) -> list[str]:
    """The names of files that are missing or damaged in this directory; `wanted` maps paths to SHA-256."""
    return [name for name, digest in wanted.items() if sha256_of(resolve_path(media, name)) != digest]


def unpack(archive: Path, media: Path, wanted: Mapping[str, str]) -> None:
    """Extract these files of the archive, each atomically and with its SHA-256 checked."""
    remove_partial(media)
    missing = dict(wanted)
    with tarfile.open(archive, "r:") as tar:
        for member in tar:
            name = media_name(member)
            if (
                member.isfile()
                and name in missing
                and extract_member(tar, member, resolve_path(media, name), missing[name])
            ):
                del missing[name]
    os.sync()  # once, because a sync per file would take many times as long
    if missing:
        raise BackupError(f"{len(missing)} files of the manifest are missing in media.tar, such as {min(missing)}")


def extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, digest: str) -> bool:
    """Return whether it has this SHA-256; a file that changed during the backup is in the archive again."""
    source = tar.extractfile(member)
    if not source:
        return False
    make_directory(path.parent)
    with tempfile.NamedTemporaryFile(prefix=PARTIAL, dir=path.parent, delete=False) as file:
        shutil.copyfileobj(source, file)
        os.fchmod(file.fileno(), member.mode & 0o777)
    if sha256_of(Path(file.name)) != digest:
        os.unlink(file.name)
        return False
    os.utime(file.name, (member.mtime, member.mtime))
    os.rename(file.name, path)
    return True


def make_directory(directory: Path) -> None:
    """Create it with the mode that web uses: nginx, another user, reads the files."""
    if not directory.exists():
        make_directory(directory.parent)
        directory.mkdir()
        directory.chmod(0o755)


def remove(media: Path, names: Collection[str]) -> None:
    for name in names:
        resolve_path(media, name).unlink(missing_ok=True)


def remove_partial(media: Path) -> None:
    for path in media.rglob(f"{PARTIAL}*"):
        path.unlink()


def resolve_path(media: Path, name: str) -> Path:
    """The path of the file; raise BackupError if the name leads outside of the directory."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts:
        raise BackupError(f"{name!r} is not the name of an uploaded file")
    return media.joinpath(*parts)


def sha256_of(path: Path) -> str:
    """The SHA-256 of the file, or an empty string if there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""

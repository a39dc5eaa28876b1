"""The archive of media on its way: files that come, grow or go while it is written do no harm."""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from backup import parts
from backup.programs import Tee


class MediaArchive:
    def __init__(self, target: Tee, media: Path) -> None:
        self.media = media
        self.archive = tarfile.open(fileobj=target, mode="w|")  # type: ignore[call-overload]  # noqa: SIM115
        # SHA-256 of what has been written, by path.
        self.hashes: dict[str, str] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    def add_new(self) -> None:
        """What is not in it yet, and what has changed since: an upload was still under way."""
        for path in files(self.media):
            try:
                with path.open("rb") as content:
                    self._add_changed(str(path.relative_to(self.media)), content)
            except FileNotFoundError:  # deleted a moment ago
                continue

    def add_from(self, directory: Path, identity: Path | None) -> None:
        """The media of another backup that are not in this one."""
        known = set(self.hashes)
        with (
            parts.reading(directory, parts.MEDIA, identity) as stream,
            tarfile.open(fileobj=stream, mode="r|") as other,
        ):
            for member in other:
                if member.name not in known and (content := other.extractfile(member)):
                    self._add(member.name, member.size, int(member.mtime), content)

    def close(self) -> None:
        self.archive.close()

    def _add_changed(self, name: str, content: IO[bytes]) -> None:
        found = os.fstat(content.fileno())
        version = (found.st_size, found.st_mtime_ns)
        if self._seen.get(name) != version:
            self._add(name, found.st_size, int(found.st_mtime), content)
            self._seen[name] = version

    def _add(self, name: str, size: int, mtime: int, content: IO[bytes]) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime = size, mtime
        hashing = Hashing(content)
        self.archive.addfile(member, hashing)
        self.hashes[name] = hashing.sha256.hexdigest()


class Hashing:
    """What has been read of the stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.sha256 = stream, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.sha256.update(data)
        return data


def files(directory: Path) -> Iterator[Path]:
    """Regular ones, in an order that does not depend on the disk."""
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path)

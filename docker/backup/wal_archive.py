"""The WAL archive on disk: `/wal/STARTED-SYSTEM/` is one unbroken run of WAL, with the base backups that it continues.

Another database, or a gap in the WAL, begins another archive, so that each can be replayed from any of its bases.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from backup.settings import FailedError

NAME_FORMAT = "%Y%m%dT%H%M%SZ"
# A week, less what the scheduled run before it may have taken longer.
FULL_EVERY = timedelta(days=6, hours=12)
PARTIAL = ".partial-"
SEGMENT_BYTES = 16 * 2**20
COMMIT = re.compile(r"tx: +(\d+), .* desc: COMMIT (\S+ [\d:.]+) UTC")


@dataclass(frozen=True)
class Base:
    """A base backup, named by the moment at which it was finished: what was committed earlier is in it."""

    path: Path
    start: str
    # Where the one starts that this one needs; nothing for a full one.
    parent: str | None
    first_segment: str

    @property
    def finished(self) -> datetime:
        return moment(self.path.name)

    @classmethod
    def read(cls, path: Path) -> "Base":
        try:
            label = (path / "backup_label").read_text()
        except OSError as error:
            raise FailedError(f"base backup {path.name} is damaged: {error.filename}: {error.strerror}") from error
        start = re.search(r"^START WAL LOCATION: (\S+) \(file (\w+)\)$", label, re.M)
        if not start:
            raise FailedError(f"base backup {path.name} is damaged: its backup_label does not say where its WAL starts")
        parent = re.search(r"^INCREMENTAL FROM LSN: (\S+)$", label, re.M)
        return cls(path, start[1], parent[1] if parent else None, start[2])


@dataclass(frozen=True)
class Archive:
    path: Path

    @property
    def started(self) -> datetime:
        return moment(self.path.name.partition("-")[0])

    @property
    def system(self) -> str:
        """The identifier that PostgreSQL gives to each database cluster."""
        return self.path.name.partition("-")[2]

    @property
    def segments(self) -> Path:
        return self.path / "segments"

    @property
    def base_directory(self) -> Path:
        return self.path / "base"

    def bases(self) -> list[Base]:
        """Oldest first; those in progress are none."""
        found = sorted(path for path in self.base_directory.glob("*") if not path.name.startswith(PARTIAL))
        return [Base.read(path) for path in found]

    def segment_files(self) -> list[Path]:
        """Oldest first; the last one is still being written."""
        found = sorted(path for path in self.segments.glob("*") if re.fullmatch(r"[0-9A-F]{24}(\.partial)?", path.name))
        return [path for path in found if path.stat().st_size == SEGMENT_BYTES]

    def remove_short(self) -> None:
        """What a full disk left of a segment, in which nothing is written yet: pg_receivewal refuses it for ever."""
        for path in self.segments.glob("*.partial"):
            if path.stat().st_size != SEGMENT_BYTES:
                path.unlink()

    def size(self) -> int:
        """In bytes on disk."""
        return sum(file.stat().st_blocks * 512 for file in self.path.rglob("*"))


@dataclass(frozen=True)
class Commit:
    transaction: str
    time: datetime


def begin(directory: Path, system: str, now: datetime) -> Archive:
    archive = Archive(directory / f"{now.strftime(NAME_FORMAT)}-{system}")
    archive.segments.mkdir(parents=True)
    archive.base_directory.mkdir()
    return archive


def archives(directory: Path) -> list[Archive]:
    """Oldest first."""
    return [Archive(path) for path in sorted(directory.glob("????????T??????Z-*"))]


def moment(name: str) -> datetime:
    return datetime.strptime(name, NAME_FORMAT).replace(tzinfo=UTC)


def chain(base: Base, bases: Iterable[Base]) -> list[Base]:
    """What pg_combinebackup needs for it: a full one, and each incremental one after it."""
    by_start = {one.start: one for one in bases}
    found = [base]
    while (parent := found[0].parent) is not None:
        if parent not in by_start:
            raise FailedError(f"the base backup {found[0].path.name} needs one that starts at {parent}, which is gone")
        found.insert(0, by_start[parent])
    return found


def base_before(time: datetime, bases: Sequence[Base]) -> Base | None:
    """The newest that was finished by then."""
    earlier = [base for base in bases if base.finished <= time]
    return earlier[-1] if earlier else None


def is_due(bases: Sequence[Base], scheduled: datetime) -> bool:
    """Whether there is none since the last time that backups were to be taken at."""
    return not bases or bases[-1].finished < scheduled


def needs_full(bases: Sequence[Base], now: datetime) -> bool:
    """Whether the next base backup is a full one."""
    full = [base for base in bases if base.parent is None]
    return not full or now - full[-1].finished >= FULL_EVERY


def needed(bases: Sequence[Base], since: datetime) -> list[Base]:
    """Those by which every moment from then on can be reached."""
    start = base_before(since, bases)
    wanted = [base for base in bases if base.finished > since or base == start]
    kept = {one.path for base in wanted for one in chain(base, bases)}
    return [base for base in bases if base.path in kept]


def prune(directory: Path, since: datetime) -> None:
    """Remove what no moment from then on needs."""
    for archive in archives(directory)[:-1]:
        if not archive.bases() or ended(archive) < since:
            remove(archive.path)
    for archive in (one for one in archives(directory) if one.bases()):
        kept = needed(archive.bases(), since)
        for base in archive.bases():
            if base not in kept:
                remove(base.path)
        remove_segments_before(kept[0].first_segment, archive)


def ended(archive: Archive) -> datetime:
    """When WAL was last written into it."""
    files = archive.segment_files()
    return datetime.fromtimestamp(files[-1].stat().st_mtime, UTC) if files else archive.started


def remove(path: Path) -> None:
    """Under another name: interrupted, it leaves nothing that looks whole."""
    partial = path.with_name(PARTIAL + path.name.removeprefix(PARTIAL))
    path.rename(partial)
    shutil.rmtree(partial)


def remove_segments_before(name: str, archive: Archive) -> None:
    for file in archive.segment_files():
        # The first eight are the timeline's, which counts apart.
        if file.name[8:24] < name[8:24]:
            file.unlink()


def remove_leftovers(directory: Path) -> None:
    """What an interrupted run left."""
    for path in [*directory.glob(f"{PARTIAL}*"), *directory.glob(f"*/base/{PARTIAL}*")]:
        shutil.rmtree(path)


def ranges(directory: Path) -> list[tuple[datetime, datetime]]:
    """From when until when each archive can be replayed, oldest first."""
    found = []
    for archive in archives(directory):
        if bases := archive.bases():
            last = last_commit(archive)
            start = bases[0].finished
            found.append((start, max(start, last.time if last else start)))
    return found


def told(found: list[tuple[datetime, datetime]]) -> list[str]:
    """As TIME is written."""
    return [f"{start.isoformat(' ')} to {end.isoformat(' ')}" for start, end in found]


def last_commit(archive: Archive) -> Commit | None:
    """Of the last segments: how far the archive goes."""
    with TemporaryDirectory() as directory:
        names = []
        for file in archive.segment_files():
            names.append(file.stem)
            (Path(directory) / file.stem).symlink_to(file)
        # Two at a time, as a commit may begin in one and end in the other; first the last one, whatever was before it.
        for pair in [(name, name) for name in names[-1:]] + list(pairwise(names))[::-1]:
            if found := COMMIT.findall(dumped(directory, *pair)):
                transaction, time = found[-1]
                return Commit(transaction, datetime.fromisoformat(f"{time}+00:00"))
    return None


def dumped(directory: str, first: str, last: str) -> str:
    """The ends of transactions; the end of what was written is where pg_waldump stops, and complains."""
    command = ["pg_waldump", f"--path={directory}", "--rmgr=Transaction", first, last]
    environment = os.environ | {"TZ": "UTC"}
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

"""Which base backups and WAL stay, and what a moment is recovered from: the archive itself, in real directories."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.backups.tier import package, settings

START = datetime(2026, 1, 4, 2, 31, tzinfo=UTC)
DAY = timedelta(days=1)
SYSTEM = "7710877305275576339"
# Each day changes so many segments of 16 MB.
DAILY_SEGMENTS = 3


@pytest.fixture
def archives() -> Any:
    return package("wal_archive")


class Simulated:
    """An archive in which each day's base backup begins a segment, as pg_basebackup has it."""

    def __init__(self, archives: Any, directory: Path, start: datetime = START) -> None:
        self.archives, self.archive = archives, archives.begin(directory, SYSTEM, start)
        self.segment = 2

    def base(self, finished: datetime) -> Any:
        bases = self.archive.bases()
        parent = None if self.archives.needs_full(bases, finished) else bases[-1]
        path = self.archive.base_directory / finished.strftime(self.archives.NAME_FORMAT)
        path.mkdir()
        label = f"START WAL LOCATION: 0/{self.segment:X}000028 (file {self.segment_name()})\n"
        label += f"INCREMENTAL FROM LSN: {parent.start}\n" if parent else ""
        (path / "backup_label").write_text(label)
        for _ in range(DAILY_SEGMENTS):
            with (self.archive.segments / self.segment_name()).open("wb") as file:
                file.truncate(self.archives.SEGMENT_BYTES)  # which takes no room
            self.segment += 1
        return self.archives.Base.read(path)

    def segment_name(self) -> str:
        return f"{1:08X}{self.segment >> 8:08X}{self.segment & 255:08X}"

    def segments(self) -> list[str]:
        return [path.name for path in self.archive.segment_files()]


def test_sixty_days_keep_every_moment_of_the_last_seven(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    most = 0
    for day in range(60):
        now = START + day * DAY
        newest = simulated.base(now)
        archives.prune(tmp_path, now - 7 * DAY)
        bases = simulated.archive.bases()
        for hours in range(0, 7 * 24, 6):
            moment = max(now - timedelta(hours=hours), START)
            base = archives.base_before(moment, bases)
            chain = archives.chain(base, bases)
            assert chain[0].parent is None
            assert chain[-1] == base
            assert moment - base.finished < DAY
        first, last = int(bases[0].first_segment[8:], 16), simulated.segment
        assert simulated.segments()[0] == bases[0].first_segment
        assert len(simulated.segments()) == last - first
        assert bases[-1] == newest
        most = max(most, len(bases))
    full = [base for base in simulated.archive.bases() if base.parent is None]
    print(f"60 daily base backups: never more than {most} kept, of them {len(full)} full ones at the end")
    # Seven days, and those that the oldest of them is made of.
    assert most <= 7 + 1 + 6


def test_full_base_backup_each_week_and_incremental_ones_in_between(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    # A scheduled backup takes a minute longer, or shorter, than the one a week before.
    bases = [simulated.base(START + day * DAY - timedelta(seconds=day % 3 * 40)) for day in range(15)]
    assert [day for day, base in enumerate(bases) if base.parent is None] == [0, 7, 14]
    assert archives.chain(bases[10], bases) == bases[7:11]


def test_base_backup_is_due_where_there_is_none_since_the_last_scheduled_time(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    assert archives.is_due([], START)
    simulated.base(START + timedelta(minutes=3))
    bases = simulated.archive.bases()
    assert not archives.is_due(bases, START)
    assert archives.is_due(bases, START + DAY)


def test_chain_with_a_base_backup_missing_is_refused(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    first, second, third = [simulated.base(START + day * DAY) for day in range(3)]
    with pytest.raises(package("settings").FailedError, match=f"{third.path.name} needs one that starts at"):
        archives.chain(third, [first, third])
    archives.remove(second.path)
    assert simulated.archive.bases() == [first, third]


def test_base_backup_without_its_label_is_refused(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    label = simulated.base(START).path / "backup_label"
    for spoil in (lambda: label.write_text("spoiled"), label.unlink):
        spoil()
        with pytest.raises(package("settings").FailedError, match=f"base backup {label.parent.name} is damaged: "):
            simulated.archive.bases()


def test_no_base_backup_is_ever_pruned_without_a_newer_one(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    only = simulated.base(START)
    archives.prune(tmp_path, START + 90 * DAY)
    assert simulated.archive.bases() == [only]
    assert len(simulated.segments()) == DAILY_SEGMENTS


def test_earlier_archive_goes_when_its_last_change_is_too_old(tmp_path: Path, archives: Any) -> None:
    earlier, empty = Simulated(archives, tmp_path), Simulated(archives, tmp_path, START + DAY)
    earlier.base(START)
    current = Simulated(archives, tmp_path, START + 2 * DAY)
    kept = current.base(START + 2 * DAY)
    archives.prune(tmp_path, archives.ended(earlier.archive) - DAY)
    # The one without a base backup could never be replayed.
    assert archives.archives(tmp_path) == [earlier.archive, current.archive]
    archives.prune(tmp_path, archives.ended(earlier.archive) + DAY)
    assert archives.archives(tmp_path) == [current.archive]
    assert current.archive.bases() == [kept]
    assert not empty.archive.path.exists()


def test_segment_that_a_full_disk_left_short_is_none(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    simulated.base(START)
    segments = simulated.segments()
    short = simulated.archive.segments / f"{simulated.segment_name()}.partial"
    short.write_bytes(bytes(10 * 2**20))
    assert simulated.segments() == segments
    simulated.archive.remove_short()
    assert not short.exists()
    assert simulated.segments() == segments


def test_what_was_interrupted_is_no_base_backup(tmp_path: Path, archives: Any) -> None:
    simulated = Simulated(archives, tmp_path)
    base = simulated.base(START)
    partial = simulated.archive.base_directory / f"{archives.PARTIAL}new"
    partial.mkdir()
    assert simulated.archive.bases() == [base]
    archives.remove_leftovers(tmp_path)
    assert not partial.exists()
    assert simulated.archive.bases() == [base]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 14:03:00+01:00", datetime(2026, 11, 22, 13, 3, tzinfo=UTC)),
        ("2026-11-22T14:03:00.5Z", datetime(2026, 11, 22, 14, 3, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22 14:03 UTC", datetime(2026, 11, 22, 14, 3, tzinfo=UTC)),
    ],
)
def test_time_is_read_with_its_zone(text: str, moment: datetime) -> None:
    assert package("recovering").parsed(text, datetime(2026, 12, 1, tzinfo=UTC)) == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'TIME= is not a time such as "2026-11-22 14:03:00+01:00"'),
        ("yesterday", 'TIME=yesterday is not a time such as "2026-11-22 14:03:00+01:00"'),
        ("2026-02-30 12:00Z", 'TIME=2026-02-30 12:00Z is not a time such as "2026-11-22 14:03:00+01:00"'),
        (
            "2026-11-22 14:03",
            'TIME=2026-11-22 14:03 names no time zone: write "2026-11-22 14:03:00+01:00", or Z at its end for UTC',
        ),
        ("2026-12-02 00:00Z", "TIME=2026-12-02 00:00Z is in the future: it is 2026-12-01 00:00:00 UTC"),
    ],
)
def test_time_that_cannot_be_meant_is_refused(text: str, reason: str) -> None:
    with pytest.raises(package("settings").FailedError) as refused:
        package("recovering").parsed(text, datetime(2026, 12, 1, tzinfo=UTC))
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"WAL_ARCHIVE": "yes"}, "WAL_ARCHIVE: 'yes' is not 1 for on or 0 for off"),
        ({"WAL_ARCHIVE_DAYS": "0"}, "WAL_ARCHIVE_DAYS: '0' is not a number of days from 1 to 9999"),
    ],
)
def test_setting_that_cannot_be_meant_is_refused(tmp_path: Path, environment: dict[str, str], reason: str) -> None:
    with pytest.raises(package("settings").FailedError) as refused:
        settings(tmp_path, **environment)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("bytes_held", "seconds_behind", "is_streaming", "fault"),
    [
        (0, 0.0, True, ""),
        (255 << 20, 60.0, True, ""),
        (257 << 20, 0.0, True, "pg_wal holds back more than 25% of the 1024 MB after which the archive is interrupted"),
        (0, 61.0, True, "the archive is more than 60 s behind"),
        (0, 61.0, False, "nothing has been archived since 2026-01-04 02:31:00 UTC"),
        (0, 59.0, False, ""),
    ],
)
def test_fault_is_told_long_before_the_slot_is_lost(
    bytes_held: int, seconds_behind: float, is_streaming: bool, fault: str
) -> None:
    progress = package("wal_slot").Progress(
        SYSTEM, True, False, is_streaming, START, bytes_held, seconds_behind, bytes_held, 1 << 30
    )
    assert progress.fault() == fault

"""Which backups stay: the retention itself, over real directories with manifests."""

import shutil
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.backups.tier import names, package, settings, write_backup

FIRST, DAYS = date(2025, 11, 22), 365
AT = time(2, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


@pytest.fixture
def retention() -> Any:
    return package("retention")


def at(day: date) -> datetime:
    return datetime.combine(day, AT)


def promised(today: date) -> set[date]:
    """By the calendar: the last 7 days, the last 3 Sundays before this week, the last days of the 5 months before."""
    days = {today - timedelta(days=count) for count in range(7)}
    sunday = today - timedelta(days=today.isoweekday())
    days |= {sunday - timedelta(weeks=count) for count in range(3)}
    for _ in range(5):
        today = today.replace(day=1) - timedelta(days=1)
        days.add(today)
    return {day for day in days if day >= FIRST}


def test_twelve_months_of_daily_runs_keep_what_is_promised(tmp_path: Path, retention: Any) -> None:
    service, removed, most = settings(tmp_path), 0, 0
    for count in range(DAYS):
        today = FIRST + timedelta(days=count)
        write_backup(tmp_path, at(today))
        removed += len(retention.prune(service, at(today) + timedelta(minutes=5)))
        assert names(tmp_path) == [f"{at(day):%Y%m%dT%H%M%SZ}" for day in sorted(promised(today))]
        most = max(most, len(names(tmp_path)))
    kept = names(tmp_path)
    print(f"{DAYS} daily runs: {len(kept)} backups kept, {removed} removed, never more than {most}: {', '.join(kept)}")
    assert len(kept) + removed == DAYS


def test_time_alone_ends_no_backup(tmp_path: Path, retention: Any) -> None:
    """Two months without a good run: the first one after them ends one, not all."""
    last_good = [NOW - timedelta(days=60 + count) for count in range(7)]
    for moment in last_good:
        write_backup(tmp_path, moment)
    write_backup(tmp_path, NOW)
    retention.prune(settings(tmp_path), NOW)
    days = [f"{moment:%Y%m%d}" for moment in [NOW, *last_good[:6]]]
    assert [name[:8] for name in names(tmp_path)] == sorted(days)


@pytest.mark.parametrize("kind", ["manual", "safety", "moment"])
def test_backup_that_nobody_scheduled_stays_a_week_and_takes_no_place(
    tmp_path: Path, retention: Any, kind: str
) -> None:
    scheduled = [write_backup(tmp_path, NOW - timedelta(days=count)).name for count in range(7)]
    young = write_backup(tmp_path, NOW - timedelta(days=6, hours=23), kind).name
    old = write_backup(tmp_path, NOW - timedelta(days=7, hours=1), kind).name
    assert retention.prune(settings(tmp_path), NOW) == [old]
    assert names(tmp_path) == sorted([*scheduled, young])


def test_newest_verified_backup_stays_whatever_its_age(tmp_path: Path, retention: Any) -> None:
    sound = write_backup(tmp_path, NOW - timedelta(days=300), "manual").name
    damaged = write_backup(tmp_path, NOW - timedelta(days=200))
    (damaged / "database.dump").unlink()
    assert retention.prune(settings(tmp_path), NOW) == [damaged.name]
    assert names(tmp_path) == [sound]


def test_damaged_backup_takes_no_place(tmp_path: Path, retention: Any) -> None:
    sound = [write_backup(tmp_path, NOW - timedelta(days=count)).name for count in range(1, 8)]
    damaged = write_backup(tmp_path, NOW)
    (damaged / "media.tar").write_bytes(b"short")
    assert retention.prune(settings(tmp_path), NOW) == []
    assert names(tmp_path) == sorted([*sound, damaged.name])


def test_of_two_on_a_day_the_later_stays(tmp_path: Path, retention: Any) -> None:
    early, late = (write_backup(tmp_path, NOW - timedelta(hours=hours)).name for hours in (14, 4))
    assert (early[:8], late[:8]) == ("20261121", "20261121")
    assert retention.prune(settings(tmp_path), NOW) == [early]


def test_days_are_those_of_the_schedules_zone(tmp_path: Path, retention: Any) -> None:
    evening, morning = NOW.replace(hour=22) - timedelta(days=1), NOW
    first, second = write_backup(tmp_path, evening).name, write_backup(tmp_path, morning).name
    assert retention.prune(settings(tmp_path, BACKUP_SCHEDULE="02:30 Asia/Tokyo"), NOW) == [first]
    assert names(tmp_path) == [second]


def test_half_removed_backup_has_no_name(tmp_path: Path, retention: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    old, new = (write_backup(tmp_path, NOW - timedelta(days=days), "manual").name for days in (9, 1))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            retention.prune(settings(tmp_path), NOW)
    assert names(tmp_path) == [new]
    package("taking").clear_partials(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if old in path.name] == []

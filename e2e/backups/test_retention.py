"""The retention rules, tested without a container."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from e2e.backups.tier import names, package, settings, write_backup

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, DAYS = date(2025, 11, 22), 365
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)


def build_promised_days(today: date) -> set[date]:
    """Return the last 7 days, the last 3 Sundays before this week, and the last days of the 5 months before."""
    days = {today - timedelta(days=count) for count in range(7)}
    sunday = today - timedelta(days=today.isoweekday())
    days |= {sunday - timedelta(weeks=count) for count in range(3)}
    for _ in range(5):
        today = today.replace(day=1) - DAY
        days.add(today)
    return {day for day in days if day >= FIRST}


def at(day: date) -> datetime:
    return datetime.combine(day, time(2, 30, tzinfo=UTC))


def prune(directory: Path, now: datetime = NOW, **environment: str) -> list[str]:
    found: list[str] = package("retention").prune(settings(directory, **environment), now)
    return found


def test_twelve_months_of_daily_runs_keep_what_is_promised(tmp_path: Path) -> None:
    for count in range(DAYS):
        today = FIRST + timedelta(days=count)
        write_backup(tmp_path, at(today))
        prune(tmp_path, at(today) + timedelta(minutes=5))
        assert names(tmp_path) == [f"{at(day):%Y%m%dT%H%M%SZ}" for day in sorted(build_promised_days(today))]


def test_time_alone_ends_no_backup(tmp_path: Path) -> None:
    """After two months without a good run, the first one must not remove all older backups."""
    last_good = [NOW - timedelta(days=60 + count) for count in range(7)]
    for moment in [*last_good, NOW]:
        write_backup(tmp_path, moment)
    prune(tmp_path)
    assert [name[:8] for name in names(tmp_path)] == sorted(f"{moment:%Y%m%d}" for moment in [NOW, *last_good[:6]])


@pytest.mark.parametrize("kind", ["manual", "safety", "moment"])
def test_backup_that_nobody_scheduled_stays_a_week_and_takes_no_place(tmp_path: Path, kind: str) -> None:
    scheduled = [write_backup(tmp_path, NOW - timedelta(days=count)).name for count in range(7)]
    young = write_backup(tmp_path, NOW - timedelta(days=6, hours=23), kind).name
    old = write_backup(tmp_path, NOW - timedelta(days=7, hours=1), kind).name
    assert prune(tmp_path) == [old]
    assert names(tmp_path) == sorted([*scheduled, young])


def test_newest_sound_backup_stays_whatever_its_age_and_damaged_ones_take_no_place(tmp_path: Path) -> None:
    sound = write_backup(tmp_path, NOW - 300 * DAY, "manual").name
    damaged = [write_backup(tmp_path, NOW - age) for age in (200 * DAY, HOUR)]
    for one in damaged:
        (one / "database.dump").unlink()
    assert prune(tmp_path) == [damaged[0].name]
    assert names(tmp_path) == [sound, damaged[1].name]


def test_days_are_those_of_the_schedules_zone_and_the_later_of_two_stays(tmp_path: Path) -> None:
    evening, morning = (write_backup(tmp_path, moment).name for moment in (NOW.replace(hour=22) - DAY, NOW))
    assert prune(tmp_path) == []
    assert prune(tmp_path, BACKUP_SCHEDULE="02:30 Asia/Tokyo") == [evening]
    assert names(tmp_path) == [morning]

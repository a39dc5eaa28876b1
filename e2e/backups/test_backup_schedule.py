"""When backups are taken, what the settings refuse, and what is said of the age of the newest one."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from e2e.backups.tier import names, package, settings, write_backup
from e2e.checkout import SOURCE

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, 2); print(f.write('a drill'), flush=True)"


def schedule(text: str) -> Any:
    return package("schedule").Schedule.parse(text)


def moments(text: str, year: int) -> list[datetime]:
    """All of the year, in UTC."""
    wanted, moment = schedule(text), datetime(year, 1, 1, tzinfo=ZoneInfo("UTC")) - timedelta(seconds=1)
    found = []
    while (moment := wanted.next(moment)).year == year:
        assert wanted.last(moment) == moment
        assert wanted.last(moment - timedelta(microseconds=1)) < moment
        found.append(moment)
    return found


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_each_day_of_a_year_has_one(zone: str) -> None:
    found = moments(f"02:30 {zone}", 2026)
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in found]
    assert len(set(days)) == len(days)
    assert {later - earlier for earlier, later in itertools.pairwise(days)} == {timedelta(days=1)}


def test_clocks_that_leap_leave_out_none_and_repeat_none() -> None:
    """02:30 is no time on 29 March 2026 in Berlin, and two on 25 October."""
    found = moments("02:30 Europe/Berlin", 2026)
    spring = [moment for moment in found if (moment.month, moment.day) == (3, 29)]
    autumn = [moment for moment in found if (moment.month, moment.day) == (10, 25)]
    assert spring == [datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]
    assert autumn == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]
    print(f"Berlin, 02:30: {spring[0]:%H:%M} UTC where the clocks leap forward, {autumn[0]:%H:%M} UTC where back")


def test_several_times_a_day_are_each_taken() -> None:
    assert [moment.hour for moment in moments("18:00, 06:00 UTC", 2026)[:4]] == [6, 18, 6, 18]


REFUSED = [
    ({"BACKUP_SCHEDULE": "2:30 UTC"}, "BACKUP_SCHEDULE: '2:30' is not a time of the day, such as 02:30"),
    ({"BACKUP_SCHEDULE": "24:00 UTC"}, "BACKUP_SCHEDULE: '24:00' is not a time of the day, such as 02:30"),
    ({"BACKUP_SCHEDULE": "02:30"}, "BACKUP_SCHEDULE: '02:30' is not a time and a time zone, such as 02:30 UTC"),
    (
        {"BACKUP_SCHEDULE": "02:30 Mars/Olympus"},
        "BACKUP_SCHEDULE: 'Mars/Olympus' is not a time zone, such as UTC or Europe/Berlin",
    ),
    (
        {"BACKUP_SCHEDULE": "02:30 ../etc/passwd"},
        "BACKUP_SCHEDULE: '../etc/passwd' is not a time zone, such as UTC or Europe/Berlin",
    ),
    ({"BACKUP_AGE_RECIPIENTS": "me"}, "BACKUP_AGE_RECIPIENTS: 'me' is not a public key of age, such as age1…"),
    (
        {"BACKUP_AGE_RECIPIENTS": "AGE-SECRET-KEY-1ABC"},
        "BACKUP_AGE_RECIPIENTS has a private key in it; put the public one, age1…, instead",
    ),
    ({"BACKUP_REMOTE": "/mnt/disk"}, "BACKUP_REMOTE: '/mnt/disk' is not remote:path, as rclone names it"),
    ({"BACKUP_FAILURE_URL": "hook"}, "BACKUP_FAILURE_URL: 'hook' is not an address with http:// or https://"),
]


@pytest.mark.parametrize(("environment", "said"), REFUSED)
def test_setting_that_cannot_be_meant_is_refused_in_one_line(environment: dict[str, str], said: str) -> None:
    given = {"PYTHONPATH": str(SOURCE / "docker"), **environment}
    done = subprocess.run([sys.executable, "-m", "backup", "health"], env=given, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"backup: {said}\n")


def test_blank_settings_mean_the_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path, BACKUP_SCHEDULE=" ", BACKUP_AGE_RECIPIENTS="", BACKUP_REMOTE="", BACKUP_FAILURE_URL="")
    assert (str(found.schedule), found.recipients, found.remote, found.failure_url) == ("02:30 UTC", (), "", "")


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(hours=25, minutes=59), []),
        (
            timedelta(hours=26, minutes=1),
            ["the newest verified backup, 20261121T095900Z, is 26 hours old: more than 26 hours"],
        ),
        (
            timedelta(days=4),
            ["the newest verified backup, 20261118T120000Z, is 4 days old: more than 26 hours"],
        ),
    ],
)
def test_newest_backup_may_be_26_hours_old(tmp_path: Path, age: timedelta, said: list[str]) -> None:
    write_backup(tmp_path, NOW - timedelta(days=9))
    write_backup(tmp_path, NOW - age)
    assert package("status").age_faults(settings(tmp_path), NOW) == said


def test_damaged_backup_does_not_count_as_the_newest(tmp_path: Path) -> None:
    old, new = (write_backup(tmp_path, NOW - hours * HOUR) for hours in (30, 2))
    (new / "globals.sql").unlink()
    (said,) = package("status").age_faults(settings(tmp_path), NOW)
    assert said.startswith(f"the newest verified backup, {old.name}, is 30 hours old")


def test_first_backup_has_26_hours_from_the_first_start(tmp_path: Path) -> None:
    status, service = package("status"), settings(tmp_path)
    assert status.age_faults(service, NOW) != []
    status.note_first_start(service)
    start = status.first_start(service)
    assert status.age_faults(service, start + 26 * HOUR) == []
    said = ["there is no verified backup, and the first start was more than 26 hours ago"]
    assert status.age_faults(service, start + 27 * HOUR) == said
    status.note_first_start(service)
    assert status.first_start(service) == start


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its database does not answer; the next time of its schedule is hours away."""
    monkeypatch.setenv("PGHOST", str(tmp_path / "nowhere"))
    (tmp_path / "backups").mkdir()
    (tmp_path / "media").mkdir()
    last = datetime.now(UTC) - timedelta(hours=5)
    return settings(tmp_path / "backups", BACKUP_SCHEDULE=f"{last:%H:%M} UTC")


def runs_at(service: Any, *moments: datetime) -> list[datetime]:
    """Looks at the clock at each moment; when the runs started that it led to."""
    found: list[datetime] = []
    for moment in moments:
        package("serving").step(service, moment)
        found += [run.started for run in package("runs").last_runs(service)]
    return sorted(set(found))


def test_first_run_is_made_at_once_and_one_that_failed_again_in_an_hour(service: Any) -> None:
    now = datetime.now(UTC)
    (first,) = runs_at(service, now)
    (run,) = package("runs").last_runs(service)
    assert (run.kind, run.started, run.name) == ("scheduled", first, "")
    assert run.outcome.startswith("the database does not answer: ")
    assert runs_at(service, now + 59 * HOUR / 60) == [first]
    (again,) = runs_at(service, now + 61 * HOUR / 60)
    assert again > first


def test_failed_run_that_cannot_be_noted_is_not_begun_anew_at_once(service: Any) -> None:
    """As on a full disk: here a file is in the way of the notes."""
    service.state.touch()
    now = datetime.now(UTC)
    (first,) = runs_at(service, now)
    assert runs_at(service, now, now + 59 * HOUR / 60) == [first]
    service.state.unlink()
    (again,) = runs_at(service, now + 61 * HOUR / 60)
    assert again > first


def test_run_whose_time_passed_while_the_service_was_off_is_made_up_for(service: Any) -> None:
    runs, now = package("runs"), datetime.now(UTC)
    started = service.schedule.last(now) - timedelta(days=1)
    runs.note(service, runs.Run("scheduled", started, started, runs.OK, "a backup"))
    assert runs_at(service, service.schedule.last(now) - HOUR) == [started]
    (made_up,) = runs_at(service, now)
    assert made_up > started
    assert names(service.backups) == []


def test_run_that_was_killed_is_told_of_once(service: Any, capsys: pytest.CaptureFixture[str]) -> None:
    runs, now = package("runs"), datetime.now(UTC)
    runs.note(service, runs.Run("manual", now))
    runs.note(service, runs.Run("scheduled", now, now, runs.OK, "a backup"))
    for _ in range(2):
        package("serving").step(service, now)
    killed = next(run for run in runs.last_runs(service) if run.kind == "manual")
    assert killed.outcome == "it was killed before its end; the next one removes what it had written"


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """By another process."""
    hold = f"{HOLD}; f.flush(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        yield
        other.kill()


def test_run_beside_another_waits_and_then_names_it(service: Any) -> None:
    lock, failed = package("locking").lock, package("settings").FailedError
    with held(service.backups / ".lock"), pytest.raises(failed) as raised, lock(service, "a backup", 0.5):
        pass
    assert str(raised.value) == "another one has been under way for 0 s: a drill"
    with lock(service, "a backup", 0.5), lock(service, "a part of it", 0):
        assert (service.backups / ".lock").read_text().startswith("a backup, since ")

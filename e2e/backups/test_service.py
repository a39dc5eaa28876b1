"""The service's schedule and health, tested without a container."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from e2e.backups.tier import package, settings, write_backup
from e2e.checkout import SOURCE

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, 2); print(f.write('a drill'), flush=True)"


def moments(text: str, year: int) -> list[datetime]:
    """Return all backups of the year, in UTC."""
    wanted = package("schedule").Schedule.parse(text)
    moment = datetime(year, 1, 1, tzinfo=ZoneInfo("UTC")) - timedelta(seconds=1)
    found = []
    while (moment := wanted.next(moment)).year == year:
        assert wanted.last(moment) == moment
        assert wanted.last(moment - timedelta(microseconds=1)) < moment
        found.append(moment)
    return found


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Australia/Lord_Howe"])
def test_each_day_of_a_year_has_one(zone: str) -> None:
    days = [moment.astimezone(ZoneInfo(zone)).date() for moment in moments(f"02:30 {zone}", 2026)]
    assert {later - earlier for earlier, later in itertools.pairwise(days)} == {DAY}


def test_clocks_that_leap_leave_out_none_and_repeat_none() -> None:
    """In Berlin, 02:30 does not exist on 29 March 2026, and exists twice on 25 October."""
    found = moments("02:30 Europe/Berlin", 2026)
    assert [moment for moment in found if moment.date() in (date(2026, 3, 29), date(2026, 10, 25))] == [
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    ]


def test_several_times_a_day_are_each_taken() -> None:
    assert [moment.hour for moment in moments("18:00, 06:00 UTC", 2026)[:4]] == [6, 18, 6, 18]


REFUSED = [
    ({"BACKUP_SCHEDULE": "24:00 UTC"}, "BACKUP_SCHEDULE: '24:00' is not a time of the day, such as 02:30"),
    ({"BACKUP_SCHEDULE": "02:30"}, "BACKUP_SCHEDULE: '02:30' is not a time and a time zone, such as 02:30 UTC"),
    (
        {"BACKUP_SCHEDULE": "02:30 ../etc/passwd"},
        "BACKUP_SCHEDULE: '../etc/passwd' is not a time zone, such as UTC or Europe/Berlin",
    ),
    ({"BACKUP_AGE_RECIPIENTS": "me"}, "BACKUP_AGE_RECIPIENTS: 'me' is not a public key of age, such as age1…"),
    (
        {"BACKUP_AGE_RECIPIENTS": "AGE-SECRET-KEY-1ABC"},
        "BACKUP_AGE_RECIPIENTS contains a private key; use the public one, age1…",
    ),
    ({"BACKUP_REMOTE": "/mnt/disk"}, "BACKUP_REMOTE: '/mnt/disk' is not remote:path, as rclone names it"),
    ({"BACKUP_FAILURE_URL": "hook"}, "BACKUP_FAILURE_URL: 'hook' is not an address with http:// or https://"),
    ({"PITR_DAYS": "0"}, "PITR_DAYS: '0' is not a number of days from 1 to 9999"),
]


@pytest.mark.parametrize(("environment", "said"), REFUSED)
def test_setting_that_cannot_be_meant_is_refused_in_one_line(environment: dict[str, str], said: str) -> None:
    given = {"PYTHONPATH": str(SOURCE / "docker"), **environment}
    done = subprocess.run([sys.executable, "-m", "backup", "health"], env=given, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"backup: {said}\n")


def test_blank_settings_mean_the_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path, BACKUP_SCHEDULE=" ", BACKUP_AGE_RECIPIENTS="", BACKUP_REMOTE="", PITR_DAYS="")
    assert (str(found.schedule), found.recipients, found.remote, found.pitr_days) == ("02:30 UTC", (), "", 7)


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(hours=25, minutes=59), ""),
        (
            timedelta(hours=26, minutes=1),
            "the newest verified backup, 20261121T005900Z, is 26 hours old: more than 26 hours",
        ),
    ],
)
def test_newest_backup_may_be_26_hours_old(tmp_path: Path, age: timedelta, said: str) -> None:
    write_backup(tmp_path, NOW - 9 * DAY)
    write_backup(tmp_path, NOW - age)
    damaged = write_backup(tmp_path, NOW - HOUR)
    (damaged / "database.dump").unlink()
    assert package("status").age_fault(settings(tmp_path), NOW) == said


def test_first_backup_has_26_hours_from_the_first_start(tmp_path: Path) -> None:
    status, runs, service = package("status"), package("runs"), settings(tmp_path)
    assert status.age_fault(service, NOW) != ""
    runs.note_first_start(service)
    start = runs.first_start(service)
    assert status.age_fault(service, start + 26 * HOUR) == ""
    said = "there is no verified backup, and the first start was more than 26 hours ago"
    assert status.age_fault(service, start + 27 * HOUR) == said
    runs.note_first_start(service)
    assert runs.first_start(service) == start


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service whose database does not answer, hours before its next backup."""
    monkeypatch.setenv("PGHOST", str(tmp_path / "nowhere"))
    for name in ("backups", "media"):
        (tmp_path / name).mkdir()
    last = datetime.now(UTC) - 5 * HOUR
    found = settings(tmp_path / "backups", BACKUP_SCHEDULE=f"{last:%H:%M} UTC")
    return package("service").Service(found)


def count_runs(service: Any, *moments: datetime) -> int:
    """Run the service's check at each time, and return the number of backups."""
    reported = []
    for moment in moments:
        service.step(moment)
        reported += [run.started for run in package("runs").last_runs(service.settings).values()]
    return len(set(reported))


def test_first_run_is_made_at_once_and_one_that_failed_again_in_an_hour(service: Any) -> None:
    now = datetime.now(UTC)
    assert count_runs(service, now, now + 59 * HOUR / 60) == 1
    run = package("runs").last_runs(service.settings)["scheduled"]
    assert (run.name, run.outcome.startswith("the database: ")) == ("", True)
    assert count_runs(service, now, now + 61 * HOUR / 60) == 2


def test_failed_run_that_cannot_be_noted_is_not_begun_anew_at_once(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Make state files impossible to write, as on a full disk."""
    service.settings.state.touch()
    now = datetime.now(UTC)
    package("notify").LOG = Path("/nonexistent/log")
    count_runs(service, now, now + 59 * HOUR / 60)
    assert capsys.readouterr().err.count("backup failed") == 1


def test_run_whose_time_passed_while_the_service_was_off_is_made_up_for(service: Any) -> None:
    runs, now = package("runs"), datetime.now(UTC)
    started = service.settings.schedule.last(now) - DAY
    runs.record(service.settings, runs.Run("scheduled", started, started, runs.OK, "a backup"))
    assert count_runs(service, service.settings.schedule.last(now) - HOUR) == 1
    service.step(now)
    assert runs.last_runs(service.settings)["scheduled"].started > started


def test_run_that_was_killed_is_told_of_once(service: Any) -> None:
    runs, now = package("runs"), datetime.now(UTC)
    runs.record(service.settings, runs.Run("manual", now))
    runs.record(service.settings, runs.Run("scheduled", now, now, runs.OK, "a backup"))
    service.step(now)
    killed = runs.last_runs(service.settings)["manual"]
    assert killed.outcome == "the run was killed; the next one removes its partial files"
    service.step(now)
    assert runs.last_runs(service.settings)["manual"] == killed


@contextmanager
def hold(lock: Path) -> Iterator[None]:
    """Hold the lock in another process."""
    hold = f"{HOLD}; f.flush(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        yield
        other.kill()


def test_run_beside_another_waits_and_then_names_it(service: Any) -> None:
    lock, failed = package("lock").lock, package("errors").BackupError
    with (
        hold(service.settings.backups / ".lock"),
        pytest.raises(failed, match="gave up after 0 s, another operation is in progress: a drill"),
        lock(service.settings, "a backup", 0.5),
    ):
        pass

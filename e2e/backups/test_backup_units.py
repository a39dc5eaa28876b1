"""When backups are taken, which stay, and what a restore is made of: the package without a container."""

import io
import itertools
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from e2e.backups.tier import names, package, settings, write_backup
from e2e.checkout import SOURCE

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, DAYS = date(2025, 11, 22), 365
NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, 2); print(f.write('a drill'), flush=True)"


def moments(text: str, year: int) -> list[datetime]:
    """All of the year, in UTC."""
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
    """02:30 is no time on 29 March 2026 in Berlin, and two on 25 October."""
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
        "BACKUP_AGE_RECIPIENTS has a private key in it; put the public one, age1…, instead",
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
    """Its database does not answer; the next time of its schedule is hours away."""
    monkeypatch.setenv("PGHOST", str(tmp_path / "nowhere"))
    for name in ("backups", "media"):
        (tmp_path / name).mkdir()
    last = datetime.now(UTC) - 5 * HOUR
    found = settings(tmp_path / "backups", BACKUP_SCHEDULE=f"{last:%H:%M} UTC")
    return package("service").Service(found)


def runs_at(service: Any, *moments: datetime) -> int:
    """Looks at the clock at each moment; how many runs that led to."""
    reported = []
    for moment in moments:
        service.step(moment)
        reported += [run.started for run in package("runs").last_runs(service.settings).values()]
    return len(set(reported))


def test_first_run_is_made_at_once_and_one_that_failed_again_in_an_hour(service: Any) -> None:
    now = datetime.now(UTC)
    assert runs_at(service, now, now + 59 * HOUR / 60) == 1
    run = package("runs").last_runs(service.settings)["scheduled"]
    assert (run.name, run.outcome.startswith("the database: ")) == ("", True)
    assert runs_at(service, now, now + 61 * HOUR / 60) == 2


def test_failed_run_that_cannot_be_noted_is_not_begun_anew_at_once(
    service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk: here a file is in the way of the notes."""
    service.settings.state.touch()
    now = datetime.now(UTC)
    package("notify").LOG = Path("/nonexistent/log")
    runs_at(service, now, now + 59 * HOUR / 60)
    assert capsys.readouterr().err.count("backup failed") == 1


def test_run_whose_time_passed_while_the_service_was_off_is_made_up_for(service: Any) -> None:
    runs, now = package("runs"), datetime.now(UTC)
    started = service.settings.schedule.last(now) - DAY
    runs.note(service.settings, runs.Run("scheduled", started, started, runs.OK, "a backup"))
    assert runs_at(service, service.settings.schedule.last(now) - HOUR) == 1
    service.step(now)
    assert runs.last_runs(service.settings)["scheduled"].started > started


def test_run_that_was_killed_is_told_of_once(service: Any) -> None:
    runs, now = package("runs"), datetime.now(UTC)
    runs.note(service.settings, runs.Run("manual", now))
    runs.note(service.settings, runs.Run("scheduled", now, now, runs.OK, "a backup"))
    service.step(now)
    killed = runs.last_runs(service.settings)["manual"]
    assert killed.outcome == "it was killed before its end; the next one removes what it had written"
    service.step(now)
    assert runs.last_runs(service.settings)["manual"] == killed


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
    lock, failed = package("lock").lock, package("errors").FailedError
    with (
        held(service.settings.backups / ".lock"),
        pytest.raises(failed, match="another one has been under way for 0 s: a drill"),
        lock(service.settings, "a backup", 0.5),
    ):
        pass


def promised(today: date) -> set[date]:
    """By the calendar: the last 7 days, the last 3 Sundays before this week, the last days of the 5 months before."""
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
        assert names(tmp_path) == [f"{at(day):%Y%m%dT%H%M%SZ}" for day in sorted(promised(today))]


def test_time_alone_ends_no_backup(tmp_path: Path) -> None:
    """Two months without a good run: the first one after them ends one, not all."""
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


def archive(path: Path, *files: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def digest(content: bytes) -> str:
    return str(package("parts").hashlib.sha256(content).hexdigest())


def test_files_that_are_missing_or_damaged_are_put_and_others_kept(tmp_path: Path) -> None:
    media = package("media")
    wanted = {f"photos/{name}": digest(name.encode()) for name in ("there", "damaged", "missing")}
    # One that was read while it was written is there again behind it.
    packed = [("photos/missing", b"mis"), *((name, name.removeprefix("photos/").encode()) for name in wanted)]
    tar, place = archive(tmp_path / "media.tar", *packed), tmp_path / "media"
    (place / "photos").mkdir(parents=True)
    for name, content in (("there", "there"), ("damaged", "dam"), ("newer", "newer"), (".restoring-x", "killed")):
        (place / "photos" / name).write_text(content)
    kept = (place / "photos/there").stat()
    media.unpack(tar, place, {name: wanted[name] for name in media.lacking(place, wanted)})
    found = {path.name: path.read_text() for path in (place / "photos").iterdir()}
    assert found == {name: name for name in ("there", "damaged", "missing", "newer")}
    assert (place / "photos/there").stat() == kept
    # nginx, which is another user, reads it.
    assert (place / "photos/missing").stat().st_mode & 0o777 == 0o644


def test_archive_without_what_its_manifest_names_is_refused(tmp_path: Path) -> None:
    tar = archive(tmp_path / "media.tar", ("photos/one", b"another"))
    with pytest.raises(
        package("errors").FailedError, match="lacks 1 files that the manifest names, such as photos/one"
    ):
        package("media").unpack(tar, tmp_path / "media", {"photos/one": digest(b"one")})


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "photos/../../secret", ""])
def test_file_is_never_put_outside_of_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(package("errors").FailedError, match="is not the name of an uploaded file"):
        package("media").place(tmp_path, name)


def test_application_that_is_not_there_fails_the_drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drill = package("drill")
    monkeypatch.setattr(drill, "SEEN", 0.1)
    (tmp_path / "manifest.json").touch()
    (tmp_path / "drill").mkdir()
    with pytest.raises(package("errors").FailedError, match="`drill` does not see what is restored"):
        drill.application_proof(tmp_path / "manifest.json", tmp_path / "drill")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 14:03:00+01:00", datetime(2026, 11, 22, 13, 3, tzinfo=UTC)),
        ("2026-11-22T14:03:00.5Z", datetime(2026, 11, 22, 14, 3, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22 14:03 UTC", datetime(2026, 11, 22, 14, 3, tzinfo=UTC)),
    ],
)
def test_time_is_read_with_its_zone(text: str, moment: datetime) -> None:
    assert package("pitr").parse(text, datetime(2026, 12, 1, tzinfo=UTC)) == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not a time such as"),
        ("2026-02-30 12:00Z", "is not a time such as"),
        ("2026-11-22 14:03", "names no time zone"),
        ("2026-12-02 00:00Z", "is in the future: it is 2026-12-01 00:00:00 UTC"),
    ],
)
def test_time_that_cannot_be_meant_is_refused(text: str, reason: str) -> None:
    with pytest.raises(package("errors").FailedError, match=f"^TIME={text} {reason}"):
        package("pitr").parse(text, datetime(2026, 12, 1, tzinfo=UTC))

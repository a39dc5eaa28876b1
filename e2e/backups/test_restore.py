"""Restores and drills: rows and files are compared; after any failure either the old or the new state is served."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.backups.restores import Restorable, State, copy_between, destroy
from e2e.deploys import BackgroundRun
from e2e.load import Load, Request
from e2e.stack import DATABASE, Stack, seconds_until

LOADING, MIGRATING, STOPPING = "loading the backup", "migrating to", "stopping web"
SWAPPING, STARTING, READY = "taking a safety backup", "starting web", "web is ready"
ELSEWHERE = "services: {{backup: {{volumes: ['{place}:/elsewhere']}}}}"
COPIED = "RCLONE_CONFIG_ELSEWHERE_TYPE=local\nBACKUP_REMOTE=elsewhere:/elsewhere\n"
# Each comes back as soon as it is sent away, and some are in a transaction.
SESSIONS = """
import pathlib, psycopg2, time
def session(number):
    connection = psycopg2.connect("", connect_timeout=5)
    connection.autocommit = number % 5 > 0
    return connection
sessions, lost = [session(number) for number in range(50)], 0
print(len(sessions), "sessions", flush=True)
while not pathlib.Path("/tmp/enough").exists():
    for number in range(50):
        try:
            sessions[number].cursor().execute("SELECT count(*) FROM customers_visit")
        except psycopg2.Error:
            lost += 1
            try:
                sessions[number] = session(number)
            except psycopg2.Error:
                pass
    time.sleep(0.05)
print(lost, "lost")
"""
# A rule that no dump can keep: while it is loaded the function does not find its table.
UNLOADABLE = """
CREATE FUNCTION is_known(integer) RETURNS boolean LANGUAGE sql AS 'SELECT count(*) >= 0 FROM customers_visit';
CREATE TABLE unloadable (number integer CHECK (is_known(number)));
INSERT INTO unloadable VALUES (1)
"""

# The password reset of an unknown address, in an hour.
TASK = """
INSERT INTO tasks_task (id, kind, queue, payload, priority, state, attempts, error, due_at) VALUES (
  gen_random_uuid(), 'accounts.password_reset', 'emails',
  '{"email": "nobody@example.com", "language": "en", "host": "localhost", "https": true}', 1, 'queued', 0, '',
  now() + interval '1 hour')
"""


# A manifest with another number of rows, whose own SHA-256 is right.
MISCOUNT = """
import sys
from dataclasses import replace
from pathlib import Path
from backup import manifest
from backup.database import Table
directory = Path("/backups") / sys.argv[1]
found = manifest.read(directory)
tables = found.contents.tables
visits = tables["public.customers_visit"]
tables["public.customers_visit"] = Table(visits.rows + 1, visits.hash)
(directory / "manifest.json").write_text(found.as_text())
"""
AGE = """
import json, pathlib, sys
path = pathlib.Path("/backups/.state/drill.json")
facts = json.loads(path.read_text())
facts["time"] = "2026-01-01T00:00:00+00:00"
path.write_text(json.dumps(facts))
"""


# A database that fits on no disk, in a manifest whose own SHA-256 is right.
HUGE = """
import sys
from dataclasses import replace
from pathlib import Path
from backup import manifest
directory = Path("/backups") / sys.argv[1]
found = replace(manifest.read(directory), database_size=10**15)
(directory / "manifest.json").write_text(found.as_text())
"""


@pytest.fixture(scope="module")
def site(stack_of: Callable[[str], Stack], tmp_path_factory: pytest.TempPathFactory) -> Restorable:
    stack = stack_of("prod")
    place = tmp_path_factory.mktemp("elsewhere")
    place.chmod(0o777)
    stack.overlay("elsewhere.yml", ELSEWHERE.format(place=place))
    stack.configure(COPIED)
    stack.make("prod-env")
    site = Restorable(stack)
    site.add("kept", 20, 5)
    return site


@pytest.fixture(scope="module")
def backup(site: Restorable) -> tuple[str, State]:
    """Take a small backup, and return it with its state."""
    return site.back_up(), site.state()


@pytest.fixture
def now(site: Restorable, backup: tuple[str, State]) -> State:
    """Change rows and files, and return the new state."""
    site.add(f"now{time.monotonic_ns()}", 3, 2)
    return site.state()


def expect_untouched(site: Restorable, now: State) -> None:
    assert site.state() == now
    assert site.databases() == [DATABASE, "postgres"]
    assert site.serves() == now.customers


def test_restore_without_a_terminal_tells_what_is_lost_and_refuses(
    site: Restorable, backup: tuple[str, State], now: State
) -> None:
    name, saved = backup
    said = site.stack.make("prod-restore", f"BACKUP={name}", fails=True)
    print(said)
    assert re.search(rf"public\.customers_customer +{saved.customers} +{now.customers}\n", said)
    assert "Nothing was changed: there is no terminal to confirm at. Set FORCE=1 to" in said
    assert re.search(r"It is \d+ seconds old\. Changes since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC will be lost", said)
    expect_untouched(site, now)


def test_restore_asks_at_a_terminal_and_takes_no_for_an_answer(
    site: Restorable, backup: tuple[str, State], now: State
) -> None:
    line = ["make", "PROD=docker compose", "prod-restore", f"BACKUP={backup[0]}"]
    ours, terminal = pty.openpty()
    os.write(ours, b"no\n")
    places = {"cwd": site.stack.checkout, "env": site.stack.environment}
    process = subprocess.run(line, **places, stdin=terminal, capture_output=True, text=True)  # type: ignore[call-overload]
    os.close(ours)
    os.close(terminal)
    assert process.stdout.endswith("Restore it? Type yes: Nothing was changed.\n")
    assert process.returncode != 0
    expect_untouched(site, now)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "BACKUP= is not a backup name. make prod-backups lists the backups."),
        ("../../etc", "BACKUP=../../etc is not a backup name."),
        ("20200101T000000Z", "20200101T000000Z is not here, and cannot be fetched from elsewhere:/elsewhere: "),
    ],
)
def test_restore_of_what_is_no_backup_is_refused(site: Restorable, name: str, words: str) -> None:
    assert words in site.restore(name, fails=True)


@contextmanager
def fifty_sessions(site: Restorable) -> Iterator[list[str]]:
    """Collect the output, which is complete after the block."""
    said: list[str] = []
    line = ["docker", "compose", "exec", "-T", "backup", "python3", "-c", SESSIONS]
    places = {"cwd": site.stack.checkout, "env": site.stack.environment}
    with subprocess.Popen(line, **places, stdout=subprocess.PIPE, text=True) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline() == "50 sessions\n"
            yield said
        finally:
            site.service.shell("touch /tmp/enough")
            said.append(process.stdout.read())
            site.service.shell("rm /tmp/enough")


def test_restore_while_fifty_sessions_are_open_and_again(
    site: Restorable, backup: tuple[str, State], now: State
) -> None:
    name, saved = backup
    page = Request("GET", "/admin/login/", 200)
    with fifty_sessions(site) as said, Load(site.site, [page], 20) as load:
        site.restore(name)
    print(f"sessions: {said}, {load.report()}")
    assert site.state() == saved
    answers = {
        (one.answer.status, b"<title>Back in a moment</title>" in one.answer.body) for one in load.samples if one.answer
    }
    assert answers == {(200, False), (503, True)}
    assert int(re.findall(r"(\d+) lost", said[0])[0]) >= 50
    site.restore(name)
    assert site.state() == saved
    assert site.databases() == [DATABASE, "postgres"]
    assert site.serves() == saved.customers


def test_safety_backup_brings_the_replaced_state_back(site: Restorable, backup: tuple[str, State], now: State) -> None:
    said = site.restore(backup[0])
    (safety,) = re.findall(r"the safety backup is (\S+)", said)
    assert site.service.manifest(safety)["kind"] == "safety"
    site.restore(safety)
    assert site.state() == now


def test_open_tasks_are_held_until_they_are_released(site: Restorable) -> None:
    site.service.sql(TASK)
    said = site.restore(site.back_up())
    assert site.service.sql("SELECT state FROM tasks_task") == "held"
    assert re.search(
        r"Tasks on hold, .+: 1\. To let them run: make prod-exec ARGS='python manage\.py release_tasks'", said
    )
    site.stack.make("prod-exec", "ARGS=python manage.py release_tasks")
    seconds_until(lambda: site.service.sql("SELECT state FROM tasks_task") == "done", 10)


def test_encrypted_backup_needs_its_key(site: Restorable, now: State, tmp_path: Path) -> None:
    keys = [site.service.shell("age-keygen 2>/dev/null") for _ in range(2)]
    (recipient,) = re.findall(r"public key: (\S+)", keys[0])
    name = site.back_up(BACKUP_AGE_RECIPIENTS=recipient)
    site.add(f"after{time.monotonic_ns()}", 1, 1)
    after = site.state()
    files = [tmp_path / "right", tmp_path / "wrong"]
    for file, key in zip(files, keys, strict=True):
        file.write_text(key)
    for arguments, words in (
        ([], f"{name} is encrypted to {recipient}: set IDENTITY to the file of the private key"),
        (
            [f"IDENTITY={files[1]}"],
            f"{name} cannot be decrypted with the key in IDENTITY; it is encrypted to {recipient}",
        ),
        ([f"IDENTITY={tmp_path}/none"], f"IDENTITY={tmp_path}/none cannot be read: No such file or directory"),
    ):
        assert words in site.restore(name, *arguments, fails=True)
    expect_untouched(site, after)
    site.restore(name, f"IDENTITY={files[0]}")
    assert site.state() == now


def flip(site: Restorable, path: str) -> None:
    """Change one byte in the middle of the file."""
    code = f"p='/backups/{path}'; b=bytearray(open(p,'rb').read()); b[len(b)//2]^=1; open(p,'wb').write(b)"
    site.stack.within("backup", "python3", "-c", code)


def test_damaged_backup_is_refused(site: Restorable, now: State) -> None:
    name = site.back_up()
    flip(site, f"{name}/database.dump")
    said = site.restore(name, fails=True)
    words = f"{name}: database.dump is damaged: its SHA-256 does not match"
    assert f"the restore failed; the previous state still serves: {words}\n" in said
    expect_untouched(site, now)


def test_backup_for_which_the_disk_has_no_room_is_refused(site: Restorable, now: State) -> None:
    name = site.back_up()
    site.stack.within("backup", "python3", "-c", HUGE, name)
    words = r"Nothing was changed: \d+\.\d [GT]B of disk space are free, up to 1000\.\d TB are needed\.\n"
    assert re.search(words, site.restore(name, fails=True))
    expect_untouched(site, now)


def test_backup_that_cannot_be_loaded_changes_nothing(site: Restorable) -> None:
    site.service.sql(UNLOADABLE)
    name = site.back_up()
    site.service.sql("DROP TABLE unloadable; DROP FUNCTION is_known")
    site.add(f"then{time.monotonic_ns()}", 1, 1)
    now = site.state()
    said = site.restore(name, fails=True)
    assert 'the database cannot be loaded: pg_restore: error: COPY failed for table "unloadable"' in said
    expect_untouched(site, now)


def test_backup_that_cannot_be_migrated_changes_nothing(site: Restorable) -> None:
    # A migration that no other builds on is to be applied again, and finds what it makes.
    last = "SELECT max(id) FROM django_migrations WHERE app = 'api'"
    entry = site.service.sql(f"DELETE FROM django_migrations WHERE id = ({last}) RETURNING id, name, applied")
    name = site.back_up()
    number, migration, applied = entry.split("|")
    site.service.sql(f"INSERT INTO django_migrations VALUES ({number}, 'api', '{migration}', '{applied}')")
    site.add(f"then{time.monotonic_ns()}", 1, 1)
    now = site.state()
    said = site.restore(name, fails=True)
    assert "already exists" in said
    assert "the restore failed; the previous state still serves" in said
    expect_untouched(site, now)


def drill(site: Restorable, fails: bool = False, **arguments: str) -> str:
    said = site.stack.make("prod-restore-drill", *(f"{name}={value}" for name, value in arguments.items()), fails=fails)
    print(said)
    return said


def last(site: Restorable) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(site.service.shell("cat /backups/.state/drill.json"))
    return found


def list_leftovers(site: Restorable) -> tuple[list[str], str]:
    """Return files of a drill, and processes of its servers."""
    list_all = ["sh", "-c", "cat /proc/[0-9]*/cmdline"]
    processes = "".join(site.stack.within(service, *list_all) for service in ("backup", "drill"))
    return site.service.shell("find /drill -mindepth 1").split(), " ".join(
        re.findall(r"bin/postgres|manage\.py\0prove_restore", processes)
    )


def test_drill_passes_and_touches_nothing_that_serves(site: Restorable) -> None:
    name, before = site.back_up(), site.state()
    containers = [site.stack.inspect(service)["State"]["StartedAt"] for service in ("db", "web", "redis")]
    said = drill(site)
    tables = before.contents["tables"]
    rows = sum(table["rows"] for table in tables.values())
    files = len(before.media)
    words = (
        rf"PASS  backup {name}, [\d.]+ s: {rows} rows in {len(tables)} tables and {files} media files match the backup,"
        r" \d+ sequences are valid; the application counts \d+ rows, finds \d+ files, "
        r"and shows an administrator \d+ pages\n"
    )
    assert re.search(words, said)
    assert (site.state(), site.databases()) == (before, [DATABASE, "postgres"])
    assert [site.stack.inspect(service)["State"]["StartedAt"] for service in ("db", "web", "redis")] == containers
    assert list_leftovers(site) == ([], "")
    assert re.search(r"^drill +\d+ seconds ago: PASS  backup ", site.stack.make("prod-status"), re.M)
    (line,) = [line for line in site.service.log() if line["message"] == "drill passed"]
    assert (line["name"], line["rows"], line["media_files"]) == (name, rows, files)


def test_application_of_the_drill_meets_nobody(site: Restorable) -> None:
    assert list(site.stack.inspect("drill")["NetworkSettings"]["Networks"]) == ["none"]
    assert not re.search("PASSWORD|SECRET", " ".join(site.stack.inspect("drill")["Config"]["Env"]))


def test_drill_fails_where_a_restore_would_not_be_what_was_backed_up(site: Restorable) -> None:
    name = site.back_up()
    site.stack.within("backup", "python3", "-c", MISCOUNT, name)
    said = drill(site, fails=True)
    assert re.search(
        rf"FAIL  backup {name}, [\d.]+ s: the loaded database differs from the backup: table public\.customers_visit",
        said,
    )
    assert list_leftovers(site) == ([], "")
    assert re.search(rf"^drill +\d+ seconds ago: FAIL  backup {name}", site.stack.make("prod-status"), re.M)
    assert site.service.log()[-1]["level"] == "ERROR"


def test_drill_fails_where_a_row_has_lost_its_file(site: Restorable) -> None:
    site.service.sql("UPDATE customers_customer SET photo = 'photos/gone.png' WHERE family_name = 'kept3'")
    site.back_up()
    said = drill(site, fails=True)
    assert "1 uploaded files are missing, the first is photos/gone.png" in said
    site.service.sql("UPDATE customers_customer SET photo = 'photos/kept-3.png' WHERE family_name = 'kept3'")


def test_drill_fails_where_a_sequence_is_behind(site: Restorable) -> None:
    (highest, last_value) = (site.service.sql(f"SELECT {of}") for of in ("max(id) FROM customers_visit", "5"))
    site.service.sql("SELECT setval('customers_visit_id_seq', 5)")
    site.back_up()
    said = drill(site, fails=True)
    assert f"sequence public.customers_visit_id_seq is at {last_value}, and customers_visit.id at {highest}" in said
    site.service.sql(f"SELECT setval('customers_visit_id_seq', {highest})")


@pytest.mark.full
def test_drill_runs_by_itself_once_a_week(site: Restorable) -> None:
    name = site.back_up()
    drill(site)
    site.stack.within("backup", "python3", "-c", AGE)
    seconds = seconds_until(lambda: not last(site)["time"].startswith("2026-01-01"), 60)
    print(f"a drill that was due had run by itself after {seconds:.1f} s: {last(site)}")
    assert (last(site)["backup"], last(site)["reason"], list_leftovers(site)) == (name, "", ([], ""))


@pytest.mark.full
def test_drill_of_an_encrypted_backup_waits_for_the_key(site: Restorable, tmp_path: Path) -> None:
    key = site.service.shell("age-keygen 2>/dev/null")
    (recipient,) = re.findall(r"public key: (\S+)", key)
    name = site.back_up(BACKUP_AGE_RECIPIENTS=recipient)
    site.stack.within("backup", "python3", "-c", AGE)
    assert "backups are encrypted, so restore-drill needs IDENTITY=file of the key" in site.stack.make("prod-status")
    assert f"{name} is encrypted to {recipient}: set IDENTITY to the file of the private key" in drill(site, fails=True)
    assert last(site)["time"].startswith("2026-01-01")
    (tmp_path / "key").write_text(key)
    assert f"PASS  backup {name}, " in drill(site, IDENTITY=str(tmp_path / "key"))
    assert list_leftovers(site) == ([], "")


FULL = pytest.mark.full


@pytest.mark.parametrize(
    ("step", "number"),
    [
        (LOADING, signal.SIGINT),
        pytest.param(STOPPING, signal.SIGTERM, marks=FULL),
        pytest.param(SWAPPING, signal.SIGINT, marks=FULL),
        (STARTING, signal.SIGHUP),
    ],
)
def test_interrupted_restore_returns_to_the_state_before(
    site: Restorable, backup: tuple[str, State], now: State, step: str, number: signal.Signals
) -> None:
    restore = BackgroundRun(site.stack, "PROD=docker compose", "prod-restore", f"BACKUP={backup[0]}", "FORCE=1")
    restore.wait_for_output(step)
    restore.interrupt(number)
    assert restore.wait() != 0
    print(restore.output)
    expect_untouched(site, now)


@pytest.mark.full
@pytest.mark.parametrize(
    "step", [LOADING, *(pytest.param(step, marks=FULL) for step in (MIGRATING, SWAPPING, READY)), STARTING]
)
def test_killed_restore_leaves_one_state_to_the_next_start(
    site: Restorable, backup: tuple[str, State], now: State, step: str
) -> None:
    restore = BackgroundRun(site.stack, "PROD=docker compose", "prod-restore", f"BACKUP={backup[0]}", "FORCE=1")
    restore.wait_for_output(step)
    restore.kill()
    restore.wait()
    site.stack.make("prod-up")
    found = site.state()
    print(restore.output, "restored" if backup[1].is_in(found) else "as before")
    assert backup[1].is_in(found) or now.is_in(found)
    assert site.serves() == found.customers


@pytest.mark.full
def test_restore_after_one_that_was_killed_leaves_nothing_of_either(
    site: Restorable, backup: tuple[str, State], now: State
) -> None:
    site.restore(backup[0])
    assert site.state() == backup[1]
    assert site.databases() == [DATABASE, "postgres"]
    assert site.serves() == backup[1].customers


@pytest.mark.full
def test_database_that_is_gone_comes_back(site: Restorable, backup: tuple[str, State], now: State) -> None:
    """Damage the database so that no safety backup can be taken."""
    drop = ["psql", "-U", DATABASE, "-d", "postgres", "-c", f"DROP DATABASE {DATABASE} WITH (FORCE)"]
    site.stack.within("db", *drop)
    site.restore(backup[0], "SAFETY=0")
    found = site.state()
    # Files are removed only where they are in a safety backup.
    assert (found.contents, found.media) == (backup[1].contents, now.media | backup[1].media)
    assert site.serves() == backup[1].customers


@pytest.mark.parametrize("customers", [200, pytest.param(100_000, marks=FULL)])
def test_customers_come_back_after_every_volume_is_gone(site: Restorable, tmp_path: Path, customers: int) -> None:
    site.add(f"fair{customers}x", customers, customers // 100)
    name = site.back_up()
    saved = site.state()
    site.add(f"later{customers}x", 50, 5)
    site.service.sql("DELETE FROM customers_visit WHERE id % 7 = 0")
    copy_between(site.stack, "tar", "-C", "/backups", "-c", name, target=tmp_path / "backup.tar")
    destroy(site.stack)

    site.stack.make("prod-up")
    copy_between(site.stack, "tar", "-C", "/backups", "-x", source=tmp_path / "backup.tar")
    start = time.monotonic()
    site.restore(name)
    seconds = time.monotonic() - start
    print(f"restore of {saved.customers} customers and {len(saved.media)} files on an empty tier: {seconds:.1f} s")
    assert site.state() == saved
    site.log_in()
    assert site.serves() == pytest.approx(saved.customers, rel=0.3)
    site.create_customer("Next")
    assert site.state().customers == saved.customers + 1
    site.service.shell(f"rm -r /backups/{name}")
    assert "fetching the off-site copy" in site.restore(name)
    assert site.state() == saved

"""Backups of a tier that runs: what they hold, when they are taken, and their copies elsewhere."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from e2e.acme import add
from e2e.backups.tier import HOOK, REMOTE, Service, start, write_backup
from e2e.stack import Stack, docker, seconds_until

MEDIA_FILES = 30
WRITE_MEDIA = f"""
import os, secrets
os.makedirs("/app/media/photos/é", exist_ok=True)
for number in range({MEDIA_FILES}):
    with open(f"/app/media/photos/é/{{number}}.png", "wb") as file:
        file.write(secrets.token_bytes(20_000 * number))
"""
CUSTOMER = """INSERT INTO customers_customer
  (given_name, family_name, email, phone, phone_e164, job_title, country, stage, source, notes, photo)
  VALUES ('Ingeborg', 'Ohm', '', '', '', '', 'DE', 'lead', 'stand', '', '{photo}')"""
# A visitor after the other uploads a photo, as the application does it: the file, then the row.
VISITORS = f"""
import os, pathlib, psycopg2, time
connection = psycopg2.connect(os.environ["DATABASE_URL"])
connection.autocommit = True
print("begun", flush=True)
for number in range(100_000):
    pathlib.Path(f"/app/media/photos/visitor-{{number}}.png").write_bytes(os.urandom(1000))
    connection.cursor().execute({CUSTOMER!r}.format(photo=f"photos/visitor-{{number}}.png"))
    time.sleep(0.005)
"""
# What the manifest must say, worked out in another way: row by row, in the order of the rows.
TABLES = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
MEASURE = """
WITH hashes AS (SELECT ('x' || substr(md5(t::text), 1, 16))::bit(64)::int8 AS hash FROM {table} t)
SELECT '{table}', (SELECT count(*) FROM hashes), (SELECT coalesce(sum(hash), 0) FROM hashes)
"""
VERIFY = """
import sys; from pathlib import Path; from backup import parts
try: print(parts.verify(Path(sys.argv[1]), Path(sys.argv[2])).name)
except parts.FailedError as error: sys.exit(str(error))
"""
# As if it had been taken so many hours before.
AGE = """
import sys; from dataclasses import replace; from datetime import timedelta; from pathlib import Path
from backup import manifest
for name in manifest.names(Path("/backups")):
    found, here = manifest.read(Path("/backups") / name), Path("/backups") / name
    moment = found.started - timedelta(hours=float(sys.argv[1]))
    older = replace(found, name=f"{moment:%Y%m%dT%H%M%SZ}", started=moment)
    (here / manifest.FILE).write_text(older.as_text())
    here.rename(here.with_name(older.name))
"""


@pytest.fixture(scope="module")
def service(stack_of: Callable[[str], Stack]) -> Service:
    begun, later = time.monotonic(), datetime.now(UTC) + timedelta(hours=12)
    found = start(stack_of("prod"), BACKUP_SCHEDULE=f"{later:%H:%M} UTC", BACKUP_FAILURE_URL=HOOK, **REMOTE)
    print(f"up in {time.monotonic() - begun:.0f} s")
    return found


@pytest.fixture(scope="module")
def filled(service: Service) -> Service:
    """With the demo's people, and media."""
    once = ["run", "--rm", "--no-deps", "-T", "web", "python"]
    service.stack.compose(*once, "manage.py", "load_demo")
    service.stack.compose(*once, "-c", WRITE_MEDIA)
    return service


def test_first_start_takes_one_at_once(service: Service) -> None:
    seconds = seconds_until(lambda: len(service.names()) == 1, 10)
    (name,) = service.names()
    assert (service.manifest(name)["kind"], service.stack.health("backup")) == ("scheduled", "healthy")
    print(f"the first backup was there {seconds:.1f} s after the start")


def test_run_is_one_line_of_the_log(service: Service) -> None:
    seconds_until(lambda: len(service.log()) == 2, 5)
    started, taken = service.log()
    (name,) = service.names()
    files = service.manifest(name)["files"]
    assert started["message"].startswith("backups are taken at ")
    assert (taken["level"], taken["message"], taken["name"]) == ("INFO", "backup taken", name)
    assert taken["bytes"] == {part: facts["size"] for part, facts in files.items()}
    assert taken["stages"].keys() == {"media", "contents", "database", "globals", "offsite", "retention"}


def test_backup_holds_what_the_database_and_the_media_hold(filled: Service) -> None:
    said = filled.stack.make("prod-backup")
    print(said.strip())
    name = filled.names()[-1]
    found = filled.manifest(name)
    measured = [filled.sql(MEASURE.format(table=table)).split("|") for table in filled.sql(TABLES).split()]
    assert found["tables"] == {table: {"rows": int(rows), "hash": total} for table, rows, total in measured}
    assert found["tables"]["public.customers_customer"]["rows"] > 0
    last = filled.sql("SELECT max(id) FROM customers_customer")
    assert found["sequences"]["public.customers_customer_id_seq"] == int(last)
    sums = filled.shell("cd /media && find . -type f -exec sha256sum {} +").splitlines()
    assert found["media"] == {path.removeprefix("./"): digest for digest, path in (line.split("  ") for line in sums)}
    assert len(found["media"]) == MEDIA_FILES
    assert f"{sum(table['rows'] for table in found['tables'].values())} rows" in said


def test_parts_are_what_postgresql_and_tar_read(filled: Service) -> None:
    filled.run("take")
    directory = f"/backups/{filled.names()[-1]}"
    assert "TABLE DATA public customers_customer" in filled.shell(f"pg_restore --list {directory}/database.dump")
    assert "CREATE ROLE exhibition" in filled.shell(f"cat {directory}/globals.sql")
    assert len(filled.shell(f"tar -tf {directory}/media.tar").splitlines()) == MEDIA_FILES
    assert filled.run("verify") == "".join(f"{name} is as it was taken.\n" for name in filled.names())


def test_nobody_else_may_read_them(filled: Service) -> None:
    assert filled.shell("find /backups -perm /077").split() == []


@contextmanager
def visitors(service: Service) -> Iterator[None]:
    name = f"{service.stack.project}-visitors"
    service.stack.compose("run", "--detach", "--no-deps", "--name", name, "web", "python", "-c", VISITORS)
    seconds_until(lambda: "begun" in docker("logs", name), 10)
    yield
    docker("rm", "--force", name)


def test_no_row_is_without_its_file_while_visitors_write(filled: Service) -> None:
    with visitors(filled):
        for _ in range(3):
            filled.run("take")
    photos = re.compile(r"photos/visitor-\d+\.png")
    for name in filled.names()[-3:]:
        dumped = filled.shell(f"pg_restore --data-only -t customers_customer -f - /backups/{name}/database.dump")
        files = filled.manifest(name)["media"]
        rows = photos.findall(dumped)
        print(f"{len(rows)} photos have rows in the dump, {len(files) - MEDIA_FILES} are in the archive")
        assert len(rows) > 0
        assert set(rows) - files.keys() == set()


def test_two_at_once_take_turns(filled: Service) -> None:
    before = filled.names()
    with filled.under_way("take") as first, filled.under_way("take") as second:
        ends = [first.ended(), second.ended()]
    assert [code for code, _ in ends] == [0, 0], ends
    assert len(set(filled.names()) - set(before)) == 2


@pytest.fixture(scope="module")
def keys(service: Service) -> list[str]:
    """Public ones; the private ones are in files key-0, key-1 and key-2, which a server would not have."""
    return [
        service.shell(f"age-keygen -o /tmp/key-{n} 2>/dev/null; age-keygen -y /tmp/key-{n}").strip() for n in range(3)
    ]


def test_encrypted_backup_opens_for_each_recipient_and_for_nobody_else(filled: Service, keys: list[str]) -> None:
    person = filled.sql("SELECT family_name FROM customers_customer WHERE length(family_name) > 5 LIMIT 1")
    print(filled.run("take", BACKUP_AGE_RECIPIENTS=f"{keys[0]},{keys[1]}").strip())
    name = filled.names()[-1]
    found = filled.manifest(name)
    assert sorted(found["files"]) == ["database.dump.age", "globals.sql.age", "media.tar.age"]
    assert found["encrypted_to"] == keys[:2]
    assert filled.shell(f"grep -rlF '{person}' /backups/{name} || true") == ""
    for number in (0, 1):
        assert (
            filled.stack.within("backup", "python3", "-c", VERIFY, f"/backups/{name}", f"/tmp/key-{number}").strip()
            == name
        )
    said = filled.stack.within("backup", "python3", "-c", VERIFY, f"/backups/{name}", "/tmp/key-2", fails=True)
    owners = f"{keys[0]}, {keys[1]}"
    assert said.strip() == f"{name} is not encrypted to the key that IDENTITY names, but to {owners}"


def test_list_tells_each_backup(filled: Service) -> None:
    said = filled.stack.make("prod-backups").splitlines()
    print("\n".join(said[:4]))
    assert said[0].split() == ["backup", "kind", "age", "size", "verified", "encrypted", "off-site"]
    assert [line.split()[0] for line in said[1:]] == sorted(filled.names(), reverse=True)
    newest = re.split(r"  +", said[1].strip())
    assert (newest[1], newest[4:]) == ("manual", ["yes", "yes", "no"])


REMOTE_FILES = "cd /srv && find . -type f -exec sha256sum {} + | sort -k2"


def far(service: Service, line: str) -> str:
    return service.stack.within("remote", "sh", "-c", line)


def put_far(service: Service, directory: Path) -> None:
    packed = subprocess.run(["tar", "-C", str(directory), "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    unpack = [
        "docker",
        "exec",
        "-i",
        service.stack.container("remote"),
        "tar",
        "-C",
        "/srv",
        "-x",
        "--no-same-owner",
        "-m",
    ]
    subprocess.run([*unpack, "--no-overwrite-dir"], input=packed, check=True)


def test_copy_elsewhere_is_made_compared_and_brought_back(filled: Service) -> None:
    print(filled.run("take", BACKUP_REMOTE="far:").strip())
    here = filled.shell("cd /backups && find . -type f -path './2*' -exec sha256sum {} + | sort -k2")
    assert far(filled, REMOTE_FILES) == here
    name = filled.names()[-1]
    filled.shell(f"rm -r /backups/{name}")
    newest = filled.run("list", BACKUP_REMOTE="far:").splitlines()[1]
    assert re.split(r"  +", newest.strip())[:2] + re.split(r"  +", newest.strip())[4:] == [
        name,
        "manual",
        "not here",
        "?",
        "yes",
    ]
    assert filled.run("fetch", name, BACKUP_REMOTE="far:") == f"Backup {name} is here.\n"
    assert filled.run("verify", name) == f"{name} is as it was taken.\n"
    assert filled.left() == []


def test_copy_that_differs_is_noticed(filled: Service) -> None:
    """Of the right size, so that only its contents tell: this server knows no hashes."""
    name = filled.names()[-1]
    far(filled, f"printf X | dd of=/srv/{name}/database.dump bs=1 seek=999 conv=notrunc status=none")
    filled.shell("rm /backups/.state/offsite.json")
    said = filled.run("take", BACKUP_REMOTE="far:", fails=True)
    assert said.startswith("backup: the backup is here and verified, but it was not copied elsewhere: rclone: ")
    assert said.count("\n") == 1
    print(said.strip())
    far(filled, f"rm -r /srv/{name}")
    filled.run("take", BACKUP_REMOTE="far:")
    assert set(far(filled, "ls /srv").split()) >= set(filled.names())


def test_failed_copy_is_told_and_made_up_for(filled: Service) -> None:
    before = len(filled.told())
    filled.stack.compose("stop", "remote")
    said = filled.run("take", BACKUP_REMOTE="far:", fails=True)
    name = filled.names()[-1]
    assert "it was not copied elsewhere" in said
    (told,) = filled.told()[before:]
    assert (told["event"], told["action"], told["name"]) == ("backup_failed", "backup", name)
    assert f"the last manual backup failed at {told['time'][:10]}" in filled.run("status")
    filled.stack.compose("start", "remote")
    # A server of another place: what was there is gone.
    seconds_until(lambda: far(filled, "ls /srv") == "", 5)
    filled.run("take", BACKUP_REMOTE="far:")
    filled.run("take", BACKUP_REMOTE="far:")
    assert set(far(filled, "ls /srv").split()) == set(filled.names())


def test_retention_elsewhere_is_that_of_here(filled: Service, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = write_backup(tmp_path, now - timedelta(days=8), "manual")
    young = write_backup(tmp_path, now - timedelta(days=6), "manual")
    monthly = write_backup(tmp_path, now - timedelta(days=100))
    incomplete = write_backup(tmp_path, now - timedelta(days=9))
    (incomplete / "manifest.json").unlink()
    (tmp_path / "photos").mkdir()
    put_far(filled, tmp_path)
    filled.run("take", BACKUP_REMOTE="far:")
    there = far(filled, "ls /srv").split()
    assert {name.name: name.name in there for name in (old, young, monthly, incomplete)} == {
        old.name: False,
        young.name: True,
        monthly.name: True,
        incomplete.name: False,
    }
    assert "photos" in there


def test_copies_in_a_directory_are_compared_by_hash(filled: Service) -> None:
    environment = {"BACKUP_REMOTE": "near:/drill/copies", "RCLONE_CONFIG_NEAR_TYPE": "local"}
    filled.shell("rm /backups/.state/offsite.json")
    filled.run("take", **environment)
    assert filled.shell("ls /drill/copies").split() == filled.names()
    filled.shell("rm -r /drill/copies /backups/.state/offsite.json")


def test_scheduled_time_is_kept(filled: Service) -> None:
    planned = (datetime.now(UTC) + timedelta(seconds=65)).replace(second=0, microsecond=0)
    add(filled.stack, BACKUP_SCHEDULE=f"{planned:%H:%M} UTC")
    filled.stack.compose("up", "--detach", "--wait", "--no-deps", "backup")
    before = filled.names()
    seconds_until(lambda: filled.names() != before, (planned - datetime.now(UTC)).total_seconds() + 60)
    (new,) = set(filled.names()) - set(before)
    found = filled.manifest(new)
    started = datetime.fromisoformat(found["started"])
    print(f"scheduled for {planned:%H:%M:%S}, begun at {started:%H:%M:%S}")
    assert (found["kind"], timedelta(0) <= started - planned <= timedelta(seconds=10)) == ("scheduled", True)


def test_tier_without_a_backup_of_26_hours_is_unhealthy(filled: Service) -> None:
    filled.stack.within("backup", "python3", "-c", AGE, "26.5")
    seconds = filled.stack.wait_to_be("unhealthy", "backup")
    checks = filled.stack.inspect("backup")["State"]["Health"]["Log"]
    assert re.search(
        r"the newest verified backup, \d{8}T\d{6}Z, is 2[67] hours old: more than 26 hours", checks[-1]["Output"]
    )
    assert "WARNING      the newest verified backup" in filled.run("status")
    filled.run("take")
    filled.stack.wait_to_be("healthy", "backup")
    print(f"unhealthy {seconds:.1f} s after it was too old, healthy with the next backup")
    assert "WARNING      the newest" not in filled.run("status")


def test_nothing_is_left_and_nothing_else_went_wrong(filled: Service) -> None:
    assert filled.left() == []
    wrong = [line["message"] for line in filled.log() if line["level"] != "INFO"]
    assert [message for message in wrong if "it was not copied elsewhere" not in message] == []
    assert filled.stack.inspect("backup")["RestartCount"] == 0

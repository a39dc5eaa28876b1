"""The database of any moment, out of a WAL archive that is stopped, filled, damaged and interrupted."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from e2e.backups.moments import KEEP_MB, PointInTime
from e2e.stack import Stack, docker, seconds_until

# What a loss is held against, and what the archive is built for.
BAR, AIM = 60.0, 1.0


@pytest.fixture(scope="module")
def tier(stack_of: Callable[[str], Stack]) -> PointInTime:
    return PointInTime(stack_of("prod"))


def test_bad_delete_is_undone_to_just_before(tier: PointInTime) -> None:
    """Out of a full and two incremental base backups, with changes between them."""
    for _ in range(2):
        tier.sql("INSERT INTO writes SELECT FROM generate_series(1, 1000)")
        tier.run("base")
    assert len(tier.bases()) == 3
    with tier.writing() as writer:
        before, deleted = tier.sql("SELECT clock_timestamp(); DELETE FROM writes; SELECT clock_timestamp()").split("\n")
        seen = len(writer.confirmed)
        seconds_until(lambda: len(writer.confirmed) > seen + 50, 30)
    moment = datetime.fromisoformat(before)
    start = time.monotonic()
    said = tier.restore_to(moment)
    seconds = time.monotonic() - start
    assert "base backups combined: 3" in said
    rows = tier.rows()
    loss = (moment - rows[-1]).total_seconds()
    print(f"bad DELETE: restored to {moment - rows[-1]} before it, {len(rows)} rows, in {seconds:.1f} s")
    print(re.findall(r"the maintenance page was up for .*", said)[0])
    assert 0 <= loss <= BAR
    assert loss <= AIM
    confirmed = [at for at in writer.confirmed if at < moment - timedelta(milliseconds=100)]
    assert set(confirmed) <= set(rows)
    assert len(rows) >= 2000 + len(confirmed)
    assert moment < datetime.fromisoformat(deleted) < writer.confirmed[-1]


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("2026-11-22 14:03", "names no time zone: write"),
        ("noon", "is not a time such as"),
        ("2020-01-01 00:00:00+01:00", r"cannot be recovered: the WAL archive covers \S+ \S+\+00:00 to \S+ \S+\+00:00"),
        ("2099-01-01 00:00:00Z", "is in the future: it is"),
    ],
)
def test_time_that_is_not_covered_is_refused(tier: PointInTime, moment: str, reason: str) -> None:
    backups = tier.names()
    (said, *_) = tier.stack.make("prod-restore-to", f"TIME={moment}", "FORCE=1", fails=True).splitlines()
    assert re.search(reason, said)
    assert tier.names() == backups


def test_killed_receiver_is_started_again_without_a_gap(tier: PointInTime) -> None:
    start = time.time()
    tier.shell("pkill -KILL pg_receivewal")
    tier.write_wal(2)
    tier.sql("INSERT INTO writes DEFAULT VALUES")
    seconds = seconds_until(lambda: tier.slot() == "reserved, active", 30)
    assert tier.log_says("pg_receivewal has ended and is started again", start)
    numbers = tier.segments()
    print(f"pg_receivewal killed: streams again after {seconds:.1f} s")
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert_all_is_there(tier)


def assert_all_is_there(tier: PointInTime) -> None:
    """What is recovered of this moment is what the database holds."""
    now = tier.manifest(tier.run("take").split()[1].rstrip(":"))
    found = tier.manifest(tier.recover(tier.now()))
    assert found["tables"] == now["tables"]


def test_file_that_was_deleted_since_is_in_the_backup_of_the_moment(tier: PointInTime) -> None:
    tier.stack.within("web", "sh", "-c", "echo photo > /app/media/e2e.txt")
    tier.run("take")
    moment = tier.now()
    tier.stack.within("web", "rm", "/app/media/e2e.txt")
    found = tier.manifest(tier.recover(moment))
    assert found["media"] == {"e2e.txt": hashlib.sha256(b"photo\n").hexdigest()}
    assert datetime.fromisoformat(found["moment"]) == moment
    assert found["kind"] == "moment"


def test_archive_of_another_major_version_is_refused(tier: PointInTime) -> None:
    file = tier.shell("ls -d /wal/*/base/*/PG_VERSION | tail -n 1").strip()
    tier.shell(f"echo 16 > {file}")
    said = tier.run("recover", tier.now().isoformat(" "), fails=True).strip()
    tier.shell(f"echo 17 > {file}")
    assert said == (
        "backup: the archive of that time is of PostgreSQL 16, and this image of 17: "
        "put POSTGRES_MAJOR=16 for the recovery, and `make prod-up`"
    )


@pytest.fixture
def damaged(tier: PointInTime) -> Iterator[Callable[[str, int], None]]:
    """Flips one byte of a file, and flips it back after the test."""
    done: list[tuple[str, int]] = []

    def damage(file: str, offset: int) -> None:
        done.append((file, offset))
        tier.flip(file, offset)

    yield damage
    for file, offset in done:
        tier.flip(file, offset)


def test_flipped_byte_in_a_base_backup_is_refused(tier: PointInTime, damaged: Callable[[str, int], None]) -> None:
    newest = tier.shell("ls -d /wal/*/base/* | tail -n 1").strip()
    damaged(f"{newest}/pg_xact/0000", 100)
    backups = tier.names()
    said = tier.run("recover", tier.now().isoformat(" "), fails=True).strip()
    name = newest.rpartition("/")[2]
    reason = 'pg_verifybackup: error: checksum mismatch for file "pg_xact/0000"'
    assert said == f"backup: base backup {name} is damaged: {reason}"
    assert tier.names() == backups


def test_flipped_byte_in_the_wal_is_refused_with_what_can_be_had(
    tier: PointInTime, damaged: Callable[[str, int], None]
) -> None:
    last_good = datetime.fromisoformat(tier.sql("INSERT INTO writes DEFAULT VALUES RETURNING at"))
    segment, offset = tier.sql("SELECT * FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())").split("|")
    tier.sql("INSERT INTO writes SELECT FROM generate_series(1, 100)")
    tier.write_wal(1)
    file = tier.shell(f"ls /wal/*/segments/{segment}").strip()
    damaged(file, int(offset) + 200)
    backups = tier.names()
    said = tier.run("recover", tier.now().isoformat(" "), fails=True).splitlines()
    found = re.fullmatch(r"backup: the WAL archive is damaged \((.+)\) and can be replayed until (.+) only", said[-1])
    assert found
    print(said[-1])
    assert abs(datetime.fromisoformat(found[2]) - last_good) < timedelta(seconds=1)
    assert tier.names() == backups
    # As far as it said, it can be had.
    tier.run("recover", last_good.isoformat(" "))


def test_full_disk_is_told_and_the_archive_goes_on_when_there_is_room(tier: PointInTime) -> None:
    archives, start = tier.archives(), time.time()
    reason = "the disk of /wal has less than 48 MB left"
    with tier.full_disk():
        tier.write_wal(1)
        tier.sql("INSERT INTO writes DEFAULT VALUES")
        unhealthy = tier.stack.wait_to_be("unhealthy", "backup", 60)
        told = unhealthy + seconds_until(lambda: tier.hook_says(f'"reason": "{reason}'), 30)
        assert tier.log_says(f"WAL archive failed: {reason}", start)
        seconds_until(lambda: tier.log_says("pg_receivewal has ended .* No space left on device", start), 30)
        assert tier.slot() == "reserved"
    streaming = seconds_until(lambda: tier.slot() == "reserved, active", 60)
    tier.stack.wait_to_be("healthy", "backup")
    print(f"full disk: unhealthy after {unhealthy:.1f} s, hook called after {told:.1f} s")
    print(f"streaming again {streaming:.1f} s after there was room")
    numbers = tier.segments()
    assert tier.archives() == archives
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert_all_is_there(tier)


def test_archive_that_is_full_too_long_begins_anew_and_pg_wal_stays_bounded(tier: PointInTime) -> None:
    archives, start = tier.archives(), time.time()
    said = "which was not archived; a new archive begins"
    with tier.full_disk():
        lost = tier.now()
        for _ in range(6):
            tier.write_wal(5)
        in_gap = tier.now()
        pg_wal = int(tier.sql("SELECT sum(size) FROM pg_ls_waldir()")) >> 20
        seconds_until(lambda: tier.hook_says(said), 30)
        assert tier.log_says(said, start)
    seconds = seconds_until(lambda: tier.archives() != archives and len(tier.bases()) == 1, 90)
    print(f"480 MB of WAL beside a full archive: {pg_wal} MB in pg_wal; full base backup {seconds:.1f} s after room")
    # What the slot may hold back, and files that are kept for reuse.
    assert pg_wal <= KEEP_MB * 4
    tier.stack.wait_to_be("healthy", "backup")
    (_, end), _ = tier.ranges()
    assert lost - timedelta(minutes=1) < end < in_gap
    refused = tier.run("recover", in_gap.isoformat(" "), fails=True)
    assert len(re.findall(r"\S+ \S+\+00:00 to \S+ \S+\+00:00", refused)) == 2


def test_database_that_is_destroyed_is_recovered_to_its_last_second(tier: PointInTime) -> None:
    container = tier.stack.container("db")
    with tier.writing() as writer:
        seconds_until(lambda: len(writer.confirmed) > 200, 30)
        docker("kill", "--signal", "KILL", container)
    docker("rm", "--force", "--volumes", container)
    docker("volume", "rm", f"{tier.stack.project}_postgres_17")
    start = time.monotonic()
    tier.stack.make("prod-up")
    seconds_until(lambda: len(tier.bases()) == 1, 60)
    end = tier.ranges()[-2][1]
    said = tier.restore_to(end)
    seconds = time.monotonic() - start
    rows = tier.rows()
    lost = [at for at in writer.confirmed if at not in set(rows)]
    loss = (writer.confirmed[-1] - rows[-1]).total_seconds()
    print(f"database destroyed: {len(lost)} of {len(writer.confirmed)} confirmed writes lost, {max(loss, 0):.3f} s")
    print(f"served again {seconds:.1f} s later, with {len(rows)} rows; {said.splitlines()[-1]}")
    assert loss <= BAR
    assert loss <= AIM


def test_archive_that_is_turned_off_leaves_no_slot(tier: PointInTime) -> None:
    assert tier.slot() == "reserved, active"
    tier.stack.environment["WAL_ARCHIVE"] = "0"
    tier.stack.compose("up", "--detach", "--wait", "--no-deps", "backup")
    seconds_until(lambda: tier.slot() == "", 30)
    assert tier.log_says("WAL_ARCHIVE is off: the database keeps no WAL for the archive any more")

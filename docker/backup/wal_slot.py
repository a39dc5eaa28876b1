"""The replication slot: the WAL that the database keeps for the archive, and how far that is behind."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2

from backup import database
from backup.settings import FailedError

NAME = "wal_archive"
# The most that a restart of the database, or of this container, takes.
SILENCE_SECONDS = 60
# Of max_slot_wal_keep_size, beyond which the slot is lost: there is time left to act.
HELD_SHARE = 0.25
ARCHIVED_SECONDS = 60
QUESTION = """
    SELECT system_identifier::text, slot_name IS NOT NULL,
           coalesce(wal_status = 'lost', false), coalesce(active, false),
           coalesce(CASE WHEN active THEN backend_start ELSE inactive_since END, clock_timestamp()),
           coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), coalesce(flush_lsn, restart_lsn)), 0)::bigint,
           coalesce(extract(epoch FROM CASE WHEN active THEN flush_lag ELSE clock_timestamp() - inactive_since END),
                    0)::float8,
           coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), restart_lsn), 0)::bigint,
           pg_size_bytes(current_setting('max_slot_wal_keep_size'))
    FROM pg_control_system()
    LEFT JOIN pg_replication_slots ON slot_name = %s
    LEFT JOIN pg_stat_replication ON pid = active_pid
"""


@dataclass(frozen=True)
class Progress:
    """What the database knows of its archive."""

    system: str
    exists: bool
    is_lost: bool
    is_streaming: bool
    # Streaming, or not streaming.
    since: datetime
    bytes_behind: int
    seconds_behind: float
    # In pg_wal, which is on the disk of the database.
    bytes_held: int
    # Beyond them the slot is lost; negative for no limit.
    most_held: int

    @property
    def usable(self) -> bool:
        return self.exists and not self.is_lost

    def fault(self) -> str:
        """Why a person should look at it, in words that stay the same as long as it lasts; blank where all is well."""
        if not self.usable:
            return "the database keeps no WAL for the archive"
        if 0 < self.most_held * HELD_SHARE < self.bytes_held:
            share = f"{HELD_SHARE:.0%} of the {self.most_held >> 20} MB after which the archive is interrupted"
            return f"pg_wal holds back more than {share}"
        if self.seconds_behind <= SILENCE_SECONDS:
            return ""
        if self.is_streaming:
            return f"the archive is more than {SILENCE_SECONDS} s behind"
        return f"nothing has been archived since {self.since:%Y-%m-%d %H:%M:%S %Z}"


@contextmanager
def connection() -> Iterator[Any]:
    """To the database that serves; each statement for itself."""
    with closing(database.connect()) as found:
        found.autocommit = True
        try:
            yield found
        except psycopg2.Error as error:
            raise FailedError(f"the database: {database.one_line(error)}") from error


def progress(to: Any) -> Progress:
    return Progress(*ask(to, QUESTION, NAME))


def create(to: Any) -> None:
    ask(to, "SELECT pg_create_physical_replication_slot(%s, immediately_reserve => true)", NAME)


def drop(to: Any) -> None:
    ask(to, "SELECT pg_drop_replication_slot(%s)", NAME)


def mark(to: Any) -> None:
    """Have a transaction in the archive that is later than any until now, and wait until it is there."""
    ask(to, "SELECT pg_logical_emit_message(true, 'backup', 'recovery')")
    wait_until_archived(to)


def wait_until_archived(to: Any) -> None:
    """All that has been written until now."""
    (wanted,) = ask(to, "SELECT pg_current_wal_flush_lsn()")
    deadline = time.monotonic() + ARCHIVED_SECONDS
    reached = (
        "SELECT coalesce(bool_or(restart_lsn >= %s::pg_lsn), false) FROM pg_replication_slots WHERE slot_name = %s"
    )
    while ask(to, reached, wanted, NAME) != (True,):
        if time.monotonic() > deadline:
            raise FailedError(f"the WAL archive has not come up to {wanted} within {ARCHIVED_SECONDS} s")
        time.sleep(0.1)


def ask(to: Any, question: str, *values: str) -> tuple[Any, ...]:
    """The only row."""
    with to.cursor() as cursor:
        cursor.execute(question, values)
        found: tuple[Any, ...] = cursor.fetchone()
        return found

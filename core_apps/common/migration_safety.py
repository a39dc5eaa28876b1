"""What lets migrations run beside visitors: one run at a time, no queue behind its locks, and who is in its way."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

MIGRATE_LOCK = 5_122_026  # any number, the same in every version; PostgreSQL keeps it apart for each database
POLL = 0.5  # seconds between two questions to the server
REMIND = 30.0  # seconds
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"

# Milliseconds. Readers queue behind a statement that waits for its lock: as long as it waits, so do they.
LOCK_TIMEOUT = 500
# The server looks for deadlocks, and sends an autovacuum away, only after a wait of this length.
DEADLOCK_TIMEOUT = 250
# These queue behind nobody and hold up nobody while they wait; one that is ended half-way leaves an INVALID index.
CONCURRENTLY = re.compile(r"\s*(CREATE|DROP)\b.*\bINDEX CONCURRENTLY\b")
CONCURRENTLY_LOCK_TIMEOUT = 120_000  # milliseconds

LIMITS = {
    "lock_timeout": f"{LOCK_TIMEOUT}ms",
    # A long migration is no fault, in the database or, between two statements, in Python.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # A killed migrate must not go on in the server, where it would keep the next one waiting.
    "client_connection_check_interval": "2s",
    "application_name": f"migrate on {socket.gethostname()}"[:63],
}

Say = Callable[[str], object]


def breaks_previous_version(migration: Migration) -> bool:
    """Whether it is the second step of expand/contract: the version before the one that brings it fails on it."""
    return bool(getattr(migration, "breaks_previous_version", False))


def asks_for_another_try(error: OperationalError) -> bool:
    return getattr(error.__cause__, "pgcode", None) in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED)


@dataclass(frozen=True)
class Session:
    """Of another process; of its query only the first word, for the rest holds people's data."""

    pid: int
    user: str
    application: str
    address: str
    state: str
    command: str
    seconds: int

    def __str__(self) -> str:
        details = [f'application "{self.application}"'] if self.application else []
        details += [f"from {self.address}"] if self.address else []
        who = ", ".join([f"user {self.user}", *details])
        doing = ", ".join(filter(None, [self.state, f"last {self.command}" if self.command else ""]))
        return f"pid {self.pid} ({who}), {doing}, since {self.seconds} s"


SESSION = """
    SELECT DISTINCT pid, coalesce(usename, backend_type), coalesce(application_name, ''),
        coalesce(host(client_addr), ''), coalesce(state, ''),
        coalesce(upper(substring(query from '^\\s*([A-Za-z]+)')), ''),
        coalesce(floor(extract(epoch FROM clock_timestamp() - coalesce(xact_start, backend_start)))::int, 0)
    FROM pg_stat_activity
"""
IN_THE_WAY = SESSION + "WHERE pid = ANY(pg_blocking_pids(%s)) ORDER BY pid"
MIGRATING = f"""{SESSION}
    JOIN pg_locks USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = {MIGRATE_LOCK} AND objsubid = 1
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: S608 - constants of this module


def ask(connection: BaseDatabaseWrapper, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def sessions(connection: BaseDatabaseWrapper, sql: str, parameters: tuple[Any, ...] = ()) -> list[Session]:
    return [Session(*row) for row in ask(connection, sql, parameters)]


def set_limit(connection: BaseDatabaseWrapper, name: str, value: str) -> None:
    ask(connection, "SELECT set_config(%s, %s, false)", (name, value))


@contextmanager
def limits_of_migrations(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Other limits for this session than those of web, until the end of the block."""
    for name, value in LIMITS.items():
        set_limit(connection, name, value)
    # Not every role may; one that may not waits until the vacuum is done.
    permitted = "SELECT set_config(%s, %s, false) WHERE has_parameter_privilege(%s, 'SET')"
    ask(connection, permitted, ("deadlock_timeout", f"{DEADLOCK_TIMEOUT}ms", "deadlock_timeout"))
    try:
        with connection.execute_wrapper(patient_if_concurrent):
            yield
    finally:
        with suppress(Error), connection.cursor() as cursor:  # a lost connection has no limits left
            for name in [*LIMITS, "deadlock_timeout"]:
                cursor.execute(f"RESET {name}")


def patient_if_concurrent(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """A wrapper of execution: CREATE and DROP INDEX CONCURRENTLY may wait longer for their locks."""
    if not CONCURRENTLY.match(sql):
        return execute(sql, params, many, context)
    connection = context["connection"]
    set_limit(connection, "lock_timeout", f"{CONCURRENTLY_LOCK_TIMEOUT}ms")
    try:
        return execute(sql, params, many, context)
    finally:
        with suppress(Error):
            set_limit(connection, "lock_timeout", f"{LOCK_TIMEOUT}ms")


@contextmanager
def one_at_a_time(connection: BaseDatabaseWrapper, say: Say) -> Iterator[None]:
    """Hold the session's lock on migrating, once whoever else holds it is done.

    Asked for again and again: a session that waited for it inside the server would hold a snapshot, and the other's
    CREATE INDEX CONCURRENTLY would wait for that.
    """
    said = 0.0
    while ask(connection, "SELECT pg_try_advisory_lock(%s)", (MIGRATE_LOCK,)) != [(True,)]:
        if not said or time.monotonic() - said > REMIND:
            said = time.monotonic()
            others = "; ".join(map(str, sessions(connection, MIGRATING)))
            say(f"Another migrate is at work and this one waits until it is done: {others}.")
        time.sleep(POLL)
    try:
        yield
    finally:
        with suppress(Error):  # a lost connection has lost the lock too
            ask(connection, "SELECT pg_advisory_unlock(%s)", (MIGRATE_LOCK,))


class Witness:
    """Watches, on a connection of its own, who keeps the session waiting: once the wait has ended nobody can tell."""

    def __init__(self, connection: BaseDatabaseWrapper, say: Say) -> None:
        self.in_the_way: list[Session] = []
        self._say = say
        self._connection = connection
        [(self._pid,)] = ask(connection, "SELECT pg_backend_pid()")
        self._done = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Witness":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        connection, waited = self._connection.copy(), 0
        try:
            while not self._done.wait(LOCK_TIMEOUT / 1000 / 3):
                found = sessions(connection, IN_THE_WAY, (self._pid,))
                self.in_the_way = found or self.in_the_way
                waited = waited + 1 if found else 0
                if waited == 15:  # only an index that is built concurrently waits as long as this
                    self._say(f"The index waits for {self.description()}.")
        except Error:
            return  # the migration meets the same, and says so
        finally:
            connection.close()

    def description(self) -> str:
        return "; ".join(map(str, self.in_the_way)) or "a session that is gone"


INVALID = """
    SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relname = ANY(%s)
"""


def drop_unfinished_indexes(connection: BaseDatabaseWrapper, say: Say) -> None:
    """Drop what a CREATE INDEX CONCURRENTLY that failed has left, or the next try finds the name taken."""
    loader = MigrationLoader(connection)
    pending = [migration for key, migration in loader.disk_migrations.items() if key not in loader.applied_migrations]
    operations = [operation for migration in pending for operation in migration.operations]
    names = [operation.index.name for operation in operations if isinstance(operation, AddIndexConcurrently)]
    for (name,) in ask(connection, INVALID, (names,)):
        say(f"Dropping the index {name}, which an earlier try has left unfinished.")
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

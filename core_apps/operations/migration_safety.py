"""What lets migrations run beside visitors: one run at a time, and no queue behind its locks."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import Error, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

MIGRATE_LOCK = 5_122_026  # any number, the same in every version; PostgreSQL keeps it apart for each database
POLL = 0.5  # seconds between two questions to the server
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


def ask(connection: BaseDatabaseWrapper, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


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
    has_waited = False
    while ask(connection, "SELECT pg_try_advisory_lock(%s)", (MIGRATE_LOCK,)) != [(True,)]:
        if not has_waited:
            say("Another migrate is at work; this one waits until it is done.")
        has_waited = True
        time.sleep(POLL)
    try:
        yield
    finally:
        with suppress(Error):  # a lost connection has lost the lock too
            ask(connection, "SELECT pg_advisory_unlock(%s)", (MIGRATE_LOCK,))


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

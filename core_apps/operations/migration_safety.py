"""Migrations on a live site: one run at a time, and no queue behind its locks."""

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

MIGRATE_LOCK = 5_122_026  # an arbitrary advisory lock key; PostgreSQL scopes it to the database
POLL = 0.5  # seconds between two attempts
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"

# Milliseconds. Readers queue behind a statement that waits for its lock.
LOCK_TIMEOUT = 500
# The server checks for deadlocks, and cancels an autovacuum, after waiting this long.
DEADLOCK_TIMEOUT = 250
# These block nobody while they wait; if cancelled, they leave an INVALID index.
CONCURRENTLY = re.compile(r"\s*(CREATE|DROP)\b.*\bINDEX CONCURRENTLY\b")
CONCURRENTLY_LOCK_TIMEOUT = 120_000  # milliseconds

TIMEOUTS = {
    "lock_timeout": f"{LOCK_TIMEOUT}ms",
    # A migration may take long, in the database or in Python between two statements.
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # The server must notice a killed migrate, which would block the next one.
    "client_connection_check_interval": "2s",
    "application_name": f"migrate on {socket.gethostname()}"[:63],
}

Say = Callable[[str], object]


def breaks_previous_version(migration: Migration) -> bool:
    """Whether it is the contract step of expand/contract: the previous version does not work with it."""
    return bool(getattr(migration, "breaks_previous_version", False))


def is_retryable(error: OperationalError) -> bool:
    return getattr(error.__cause__, "pgcode", None) in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED)


def fetch_all(connection: BaseDatabaseWrapper, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def set_parameter(connection: BaseDatabaseWrapper, name: str, value: str) -> None:
    fetch_all(connection, "SELECT set_config(%s, %s, false)", (name, value))


@contextmanager
def migration_timeouts(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Sets the timeouts of this session for migrations, until the end of the block."""
    for name, value in TIMEOUTS.items():
        set_parameter(connection, name, value)
    # Needs a privilege; a role without it waits until the vacuum is done.
    permitted = "SELECT set_config(%s, %s, false) WHERE has_parameter_privilege(%s, 'SET')"
    fetch_all(connection, permitted, ("deadlock_timeout", f"{DEADLOCK_TIMEOUT}ms", "deadlock_timeout"))
    try:
        with connection.execute_wrapper(wait_if_concurrent):
            yield
    finally:
        with suppress(Error), connection.cursor() as cursor:  # a lost connection has nothing to reset
            for name in [*TIMEOUTS, "deadlock_timeout"]:
                cursor.execute(f"RESET {name}")


def wait_if_concurrent(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """An execute wrapper: CREATE and DROP INDEX CONCURRENTLY may wait longer for their locks."""
    if not CONCURRENTLY.match(sql):
        return execute(sql, params, many, context)
    connection = context["connection"]
    set_parameter(connection, "lock_timeout", f"{CONCURRENTLY_LOCK_TIMEOUT}ms")
    try:
        return execute(sql, params, many, context)
    finally:
        with suppress(Error):
            set_parameter(connection, "lock_timeout", f"{LOCK_TIMEOUT}ms")


@contextmanager
def migration_lock(connection: BaseDatabaseWrapper, say: Say) -> Iterator[None]:
    """Holds a session-level advisory lock, so that only one migrate runs.

    Polls for it: a session that waits inside the server holds a snapshot, which would block the other's
    CREATE INDEX CONCURRENTLY.
    """
    has_waited = False
    while fetch_all(connection, "SELECT pg_try_advisory_lock(%s)", (MIGRATE_LOCK,)) != [(True,)]:
        if not has_waited:
            say("Another migrate is running; waiting until it is done.")
        has_waited = True
        time.sleep(POLL)
    try:
        yield
    finally:
        with suppress(Error):  # a lost connection has lost the lock too
            fetch_all(connection, "SELECT pg_advisory_unlock(%s)", (MIGRATE_LOCK,))


INVALID = """
    SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relname = ANY(%s)
"""


def drop_invalid_indexes(connection: BaseDatabaseWrapper, say: Say) -> None:
    """Drops INVALID indexes of failed CREATE INDEX CONCURRENTLY, whose names would be taken on a retry."""
    loader = MigrationLoader(connection)
    pending = [migration for key, migration in loader.disk_migrations.items() if key not in loader.applied_migrations]
    operations = [operation for migration in pending for operation in migration.operations]
    names = [operation.index.name for operation in operations if isinstance(operation, AddIndexConcurrently)]
    for (name,) in fetch_all(connection, INVALID, (names,)):
        say(f"Dropping the INVALID index {name} of an earlier attempt.")
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

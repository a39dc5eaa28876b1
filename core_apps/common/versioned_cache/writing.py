"""Notices what is written through Django's cursors, and lets nobody be given the version before."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from core_apps.common.versioned_cache import memory, store, versions

logger = logging.getLogger(__name__)

DISTRUST = 6.0  # seconds; the end of an outage is noticed that much later


def install(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """A receiver of `connection_created`."""
    if connection.alias == DEFAULT_DB_ALIAS and notice not in connection.execute_wrappers:
        # Not at the end: `with connection.execute_wrapper(…)`, in which the connection may be made, takes off the last.
        connection.execute_wrappers.insert(0, notice)
        setattr(connection, "commit", partial(commit, connection, connection.commit))  # noqa: B010 - mypy


def notice(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A wrapper of execution."""
    if not versions.writes(sql):
        return execute(sql, params, many, context)
    connection = context["connection"]
    with settled_later(if_=not connection.in_atomic_block):
        result = execute(sql, params, many, context)
    note(connection)
    return result


def commit(connection: Any, really: Callable[[], None]) -> None:
    """In the place of the connection's own."""
    with settled_later(if_=is_noted(connection)):
        really()


@contextmanager
def settled_later(if_: bool) -> Iterator[None]:
    """Around what commits: where the connection is lost, it may have committed."""
    try:
        yield
    except (OperationalError, InterfaceError):
        if if_:
            COMMITTED.is_owed.set()
        raise


def bump() -> None:
    """For a write that passes no statement through Django's cursor, such as COPY; call it behind that."""
    note(connections[DEFAULT_DB_ALIAS])


def note(connection: Any) -> None:
    """Once for a transaction; a savepoint that is rolled back takes the note along that was made in it."""
    if is_noted(connection):
        return
    connection.on_commit(COMMITTED)
    if connection.run_on_commit:
        # First: one of the others may ask the cache, or fail, and then Django forgets those behind it.
        connection.run_on_commit.insert(0, connection.run_on_commit.pop())


def is_noted(connection: Any) -> bool:
    return any(function is COMMITTED for _, function, _ in connection.run_on_commit)


class Committed:
    """What is done after a commit that wrote. It returns when no reader can be given the version before."""

    def __init__(self) -> None:
        self.is_owed = threading.Event()
        self._lock = threading.Lock()
        self._distrusted = (0.0, 0.0)  # since and until when for sure, on time.monotonic's clock

    def __call__(self) -> None:
        memory.see_version("")
        self.settle()

    def settle(self) -> None:
        """Raises OperationalError or InterfaceError without a database; whoever asks next has to settle then."""
        self.is_owed.clear()
        try:
            advance()
        except Exception:
            self.is_owed.set()
            raise
        drawn = time.monotonic()
        try:
            store.forget_version()
        except store.Unavailable:
            time.sleep(max(0.0, min(drawn, self._distrust()) + store.LEASE - time.monotonic()))

    def _distrust(self) -> float:
        """Since when no version can have been leased."""
        with self._lock:
            since, until = self._distrusted
            now = time.monotonic()
            if until < now + DISTRUST / 2:
                logger.warning("Redis could not be told of a write; it is distrusted for %s s", DISTRUST)
                versions.distrust(DISTRUST)
                since = since if until > now else time.monotonic()
                self._distrusted = since, now + DISTRUST - store.LEASE
            return since


COMMITTED = Committed()


def advance() -> None:
    """On a new connection where the old one was lost behind its COMMIT."""
    try:
        versions.advance()
    except (OperationalError, InterfaceError):
        connections[DEFAULT_DB_ALIAS].close()
        versions.advance()

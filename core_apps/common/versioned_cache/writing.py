"""Notices what is written through Django's cursors, and lets nobody see the version before."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from core_apps.common.versioned_cache import store, versions


def install(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """A receiver of `connection_created`."""
    if connection.alias == DEFAULT_DB_ALIAS and notice not in connection.execute_wrappers:
        # Not at the end: `with connection.execute_wrapper(…)`, in which the connection may be made, takes off the last.
        connection.execute_wrappers.insert(0, notice)


def notice(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A wrapper of execution."""
    result = execute(sql, params, many, context)
    if versions.writes(sql):
        note(context["connection"])
    return result


def bump() -> None:
    """For a write that passes no statement through Django's cursor, such as COPY; call it where that is written."""
    note(connections[DEFAULT_DB_ALIAS])


def note(connection: Any) -> None:
    """Once for a transaction; a savepoint that is rolled back takes the note along that was made in it."""
    if any(isinstance(function, Committed) for _, function, _ in connection.run_on_commit):
        return
    connection.on_commit(Committed())
    if connection.run_on_commit:
        # First: one of the others may ask the cache, or fail, and then Django forgets those behind it.
        connection.run_on_commit.insert(0, connection.run_on_commit.pop())


@dataclass(frozen=True)
class Committed:
    def __call__(self) -> None:
        """Returns when no reader can be given the version before."""
        versions.advance()
        drawn = time.monotonic()
        try:
            store.forget_version()
        except store.Unavailable:
            time.sleep(max(0.0, drawn + store.LEASE - time.monotonic()))

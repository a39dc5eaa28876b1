"""Django's PostgreSQL backend with a circuit breaker for connecting."""

import time
from typing import Any

import psycopg2
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper

PAUSE = 1  # seconds


class ClosingCursor(CursorWrapper):
    """Closing a server-side cursor sends a query; Django does not wrap the errors of that."""

    def close(self) -> None:
        with self.db.wrap_database_errors:
            self.cursor.close()


class DatabaseWrapper(base.DatabaseWrapper):
    """After a connection attempt has timed out, fails at once for PAUSE seconds; then one thread tries again.

    Otherwise every thread would wait for the whole connect_timeout, and none would be left for the probes.
    """

    _retry_at = 0.0  # on time.monotonic's clock, shared by all threads; 0 while the server answers

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        started = time.monotonic()
        if started < DatabaseWrapper._retry_at:
            raise psycopg2.OperationalError("the database did not answer a moment ago")
        if DatabaseWrapper._retry_at:
            DatabaseWrapper._retry_at = started + conn_params["connect_timeout"]
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg2.OperationalError:
            ended = time.monotonic()
            timed_out = ended - started > conn_params["connect_timeout"] - 1
            DatabaseWrapper._retry_at = ended + PAUSE if timed_out else 0.0  # a refused connection fails at once
            raise
        DatabaseWrapper._retry_at = 0.0
        return connection

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return ClosingCursor(cursor, self)

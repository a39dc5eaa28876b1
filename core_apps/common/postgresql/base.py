"""Django's PostgreSQL backend, which does not have every thread wait for a server that is away."""

import time
from typing import Any

import psycopg2
from django.db.backends.postgresql import base

PAUSE = 1  # seconds


class DatabaseWrapper(base.DatabaseWrapper):
    """Refuses to connect for a moment after an attempt that timed out; then one thread tries again.

    Every thread of a process would wait for the whole connect_timeout otherwise, and none be left for the probes.
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
            DatabaseWrapper._retry_at = ended + PAUSE if timed_out else 0.0  # a refusal costs nobody any time
            raise
        DatabaseWrapper._retry_at = 0.0
        return connection

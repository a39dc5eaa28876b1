"""A cache whose values are never older than the last commit before they were requested.

*The version* of the data is the sum of the rows of `data_version`. A trigger on each table adds 1 in the transaction
that writes, so a commit makes data and version visible at the same instant, whatever wrote: a form, COPY, psql, a
process that is killed right after it. *A reader* asks PostgreSQL for the version, and Redis for the bytes stored under
that version. If Redis is down, paused, full, flushed or restored from a snapshot, the value is computed; no write ever
waits for Redis. *Of many readers that miss the same key*, one computes while the others wait a moment. *In a
transaction* nothing is cached: it may have written, or see an old snapshot.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import uniform
from typing import Any

import redis
from django.apps import apps
from django.db import connection
from django.utils.crypto import salted_hmac
from django_redis import get_redis_connection

from core_apps.tasks.jobs import Job

Json = Any
TTL = 60.0  # seconds
JITTER = 0.1  # of TTL: values that were computed together do not expire together
LOCK = 3.0  # seconds for which one reader may compute while the others wait
POLL = 0.02  # seconds
LARGEST = 1_000_000  # bytes
COMPUTING, UNCACHED, STORED = b"!", b"-", b"="
SAFE_METHODS = ("GET", "HEAD")
# No cached value shows tables of these apps, or these columns, which each login or use of a token writes.
UNTRACKED_APPS = frozenset({"admin", "api", "contenttypes", "history", "sessions", "tasks", "webhooks"})
UNTRACKED_COLUMNS = frozenset({"last_login", "last_used_at"})

# With the OID of the database: the versions of a restored one must not collide with the old ones.
VERSION = """
    SELECT (SELECT oid FROM pg_database WHERE datname = current_database()) || '.' || sum(n) FROM data_version
"""
TRIGGERS = """
    SELECT tgrelid::regclass::text, cardinality(tgattr::int2[]) FROM pg_trigger WHERE tgname = 'data_version'
"""
TRIGGER = """
    CREATE OR REPLACE TRIGGER data_version AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE {of} ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION advance_data_version()
"""
ADVANCE = "UPDATE data_version SET n = n + 1 WHERE slot = (SELECT min(slot) FROM data_version)"

# The version that the current request of this thread has read, if the request is a safe one.
_request = threading.local()


def build_key(*parts: str) -> str:
    """A key from which its parts cannot be read."""
    return salted_hmac("versioned_cache", json.dumps(parts), algorithm="sha256").hexdigest()


def get_or_compute_json(key: str, load: Callable[[], Json]) -> Json:
    """Like `get_or_compute`, for a small JSON value that is quick to load: readers do not wait for each other."""
    return json.loads(get_or_compute(key, lambda: json.dumps(load()).encode(), lock=0))


def get_or_compute(key: str, compute: Callable[[], bytes], *, lock: float = LOCK) -> bytes:
    """Returns the bytes cached since the last write, or calls `compute`; others wait for it up to `lock` seconds.

    The key must include all that the bytes depend on beside the data: permissions, the query, the language.
    """
    if connection.in_atomic_block:
        return compute()
    cache_key = f"versioned:{current_version()}:{key}"
    try:
        body = read_or_claim(cache_key, lock)
    except redis.RedisError:
        return compute()
    return compute_and_store(cache_key, compute) if body is None else body


def current_version() -> str:
    """The version of the data, read once in a request that only reads."""
    version: str | None = getattr(_request, "version", None)
    if version is None:
        with connection.cursor() as cursor:
            cursor.execute(VERSION)
            (version,) = cursor.fetchone()
        if getattr(_request, "is_safe", False):
            _request.version = version
    return str(version)


def forget_version(environ: dict[str, Any] | None = None, **_signal: Any) -> None:
    """A receiver of `request_started` and of `request_finished`, which has no environ."""
    _request.version, _request.is_safe = None, (environ or {}).get("REQUEST_METHOD") in SAFE_METHODS


def read_or_claim(cache_key: str, lock: float) -> bytes | None:
    """The stored bytes; None if the caller must compute them. Raises RedisError."""
    client, deadline = get_redis_connection("default"), time.monotonic() + lock
    while (value := client.get(cache_key)) == COMPUTING or value is None:
        if not lock or time.monotonic() > deadline:
            return None
        if value is None and client.set(cache_key, COMPUTING, nx=True, px=round(1000 * lock)):
            return None
        time.sleep(POLL)
    return None if value == UNCACHED else bytes(value[1:])


def compute_and_store(cache_key: str, compute: Callable[[], bytes]) -> bytes:
    try:
        body = compute()
    except BaseException:
        with suppress(redis.RedisError):  # waiting readers compute it themselves
            get_redis_connection("default").delete(cache_key)
        raise
    with suppress(redis.RedisError):
        store(cache_key, STORED + body if len(body) <= LARGEST else UNCACHED)
    return body


def store(cache_key: str, value: bytes) -> None:
    client, ttl = get_redis_connection("default"), TTL * uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    try:
        client.set(cache_key, value, px=round(1000 * ttl))
    except redis.ResponseError:  # out of memory: nobody must wait for this value
        client.delete(cache_key)


def install_triggers(**_signal: Any) -> None:
    """A receiver of `post_migrate`: adds the trigger to every tracked table that does not have it."""
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        installed = dict(cursor.fetchall())
        tables = set(connection.introspection.table_names(cursor))
        missing = {
            table: columns
            for table, columns in get_tracked_columns().items()
            if table in tables and installed.get(table) != len(columns)
        }
        for table, columns in missing.items():
            of = f"OF {', '.join(map(connection.ops.quote_name, columns))}" if columns else ""
            cursor.execute(TRIGGER.format(table=connection.ops.quote_name(table), of=of))
        if missing:  # writes without the trigger were not counted
            cursor.execute(ADVANCE)


def get_tracked_columns() -> dict[str, Sequence[str]]:
    """By table, the columns whose change counts; an empty sequence means all of them."""
    models = apps.get_models(include_auto_created=True)
    # Nor those of jobs, which write their progress each second.
    tracked = [model for model in models if model._meta.app_label not in UNTRACKED_APPS and not issubclass(model, Job)]
    columns = {model._meta.db_table: {str(field.column) for field in model._meta.concrete_fields} for model in tracked}
    return {table: sorted(of - UNTRACKED_COLUMNS) if of & UNTRACKED_COLUMNS else () for table, of in columns.items()}

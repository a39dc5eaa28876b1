"""Answers from Redis that are never older than what was committed before they were asked for.

*The version* of the data is the sum of the rows of `data_version`. A trigger of each table adds 1 in the transaction
that writes, so that a commit makes data and version visible at the same instant, whatever wrote: a form, COPY, psql, a
process that is killed right after it. *A reader* asks PostgreSQL for the version, and Redis for bytes that were kept
under it. Redis that is away, paused, full, flushed or restored from a snapshot only means that the answer is computed;
no write ever waits for it. *Of many who miss the same*, one computes while the others wait a moment. *In a transaction*
nothing is cached: it may have written, or see an old snapshot.
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

Json = Any
TTL = 60.0  # seconds
JITTER = 0.1  # of it: what was computed together need not be gone together
LOCK = 3.0  # seconds for which one reader may compute while the others wait
POLL = 0.02  # seconds
LARGEST = 1_000_000  # bytes
COMPUTING, UNCACHED, KEPT = b"!", b"-", b"="
SAFE_METHODS = ("GET", "HEAD")
# What no cached answer shows: tables of these apps, and columns that each login or use of a token writes.
UNSEEN_APPS = frozenset({"admin", "api", "contenttypes", "sessions"})
UNSEEN_COLUMNS = frozenset({"last_login", "last_used_at"})

# With the database's number: one that was restored has versions of its own.
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

# Of the request that this thread answers, where that is a safe one and has asked for the version.
_request = threading.local()


def key_of(*parts: str) -> str:
    """A key that tells nothing of what it is made from."""
    return salted_hmac("versioned_cache", json.dumps(parts), algorithm="sha256").hexdigest()


def remembered(key: str, load: Callable[[], Json]) -> Json:
    """What `load` returns, as of now or since the last write: a small value, quick to load, that JSON can express."""
    return json.loads(answer(key, lambda: json.dumps(load()).encode(), lock=0))


def answer(key: str, compute: Callable[[], bytes], *, lock: float = LOCK) -> bytes:
    """What `compute` returns, as of now or since the last write; many who ask within `lock` seconds compute it once.

    The key must hold all that the bytes depend on beside the data: who may see what, the query, the language.
    """
    if connection.in_atomic_block:
        return compute()
    place = f"versioned:{version()}:{key}"
    try:
        body = look(place, lock)
    except redis.RedisError:
        return compute()
    return computed(place, compute) if body is None else body


def version() -> str:
    """Asked for once in a request that only reads."""
    known: str | None = getattr(_request, "version", None)
    if known is None:
        with connection.cursor() as cursor:
            cursor.execute(VERSION)
            (known,) = cursor.fetchone()
        if getattr(_request, "is_safe", False):
            _request.version = known
    return str(known)


def forget_version(environ: dict[str, Any] | None = None, **_signal: Any) -> None:
    """A receiver of `request_started` and of `request_finished`, which comes without an environ."""
    _request.version, _request.is_safe = None, (environ or {}).get("REQUEST_METHOD") in SAFE_METHODS


def look(place: str, lock: float) -> bytes | None:
    """What is kept there; None where the caller is to compute it. Raises RedisError."""
    client, deadline = get_redis_connection("default"), time.monotonic() + lock
    while (value := client.get(place)) == COMPUTING or value is None:
        if not lock or time.monotonic() > deadline:
            return None
        if value is None and client.set(place, COMPUTING, nx=True, px=round(1000 * lock)):
            return None
        time.sleep(POLL)
    return None if value == UNCACHED else bytes(value[1:])


def computed(place: str, compute: Callable[[], bytes]) -> bytes:
    try:
        body = compute()
    except BaseException:
        with suppress(redis.RedisError):  # those who wait shall find out for themselves what is wrong
            get_redis_connection("default").delete(place)
        raise
    with suppress(redis.RedisError):
        keep(place, KEPT + body if len(body) <= LARGEST else UNCACHED)
    return body


def keep(place: str, value: bytes) -> None:
    client, ttl = get_redis_connection("default"), TTL * uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    try:
        client.set(place, value, px=round(1000 * ttl))
    except redis.ResponseError:  # it is full: nobody is to wait for what will not come
        client.delete(place)


def install_triggers(**_signal: Any) -> None:
    """A receiver of `post_migrate`: every table that answers may show has the trigger, those of new models too."""
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        installed = dict(cursor.fetchall())
        tables = set(connection.introspection.table_names(cursor))
        lacking = {
            table: columns
            for table, columns in watched_columns().items()
            if table in tables and installed.get(table) != len(columns)
        }
        for table, columns in lacking.items():
            of = f"OF {', '.join(map(connection.ops.quote_name, columns))}" if columns else ""
            cursor.execute(TRIGGER.format(table=connection.ops.quote_name(table), of=of))
        if lacking:  # something may have been written without it
            cursor.execute(ADVANCE)


def watched_columns() -> dict[str, Sequence[str]]:
    """By table: the columns whose change counts; none stands for all of them."""
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label not in UNSEEN_APPS]
    columns = {model._meta.db_table: {str(field.column) for field in model._meta.concrete_fields} for model in models}
    return {table: sorted(of - UNSEEN_COLUMNS) if of & UNSEEN_COLUMNS else () for table, of in columns.items()}

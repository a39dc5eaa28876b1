"""Answers from Redis that are never older than what was committed before they were asked for.

*The version* of the data is the last value of a sequence in PostgreSQL, with the number of its database. Whatever is
kept is kept under the version that was read before it was computed, so that nothing old gets under a new version; what
is under an old one is not asked for any more, and expires.

*Writers* are noticed by the statements that they send through Django's cursors, so that forms, `update()`, commands and
raw SQL are alike (`writing.notice`); COPY alone calls `bump`. Behind its commit a writer takes the next version and
removes the one that Redis has, and only then its answer leaves.

*Readers* take the version from Redis, where it is on lease for a second. Where there is none, one puts a claim there,
asks PostgreSQL, and puts the version in the place of the claim, if that is still there: a writer that came in between,
a flush or an eviction has taken it away. The lease ends a second after the claim by Redis' own clock.

*When Redis does not answer*, readers compute for themselves; the breaker of `core_apps.common.caching` spares them the
wait. A writer cannot remove the version then, which other processes may still be given, or which sleeps in a Redis
that is paused. It waits until the lease must have ended, one second, and says in PostgreSQL that Redis is distrusted:
for some seconds no version is leased out, so that of a series of writes the first one alone has to wait.

*A Redis that begins anew*, from a snapshot or as a replica that lagged behind, may have a version that was removed. The
scripts that read versions are in no snapshot and on no replica: who finds them missing removes the version first.

*Many readers who miss the same*: one computes, the others wait for it.

In a transaction nothing is cached: it may have written, or see an old snapshot. What is written past Django (psql, a
function called by SELECT), or by a process that is killed between COMMIT and the next version, is seen after
`store.TTL` and `memory.KEPT` at the latest.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import blake2b, sha256
from typing import Any

from django.conf import settings
from django.db import Error, connection

from core_apps.common.versioned_cache import memory, store
from core_apps.common.versioned_cache.store import COMPUTING, UNCACHED, Unavailable
from core_apps.common.versioned_cache.tally import TALLY
from core_apps.common.versioned_cache.writing import COMMITTED, bump

__all__ = ["Json", "answer", "bump", "key_of", "remembered"]

Json = Any
POLL = 0.01  # seconds


def key_of(*parts: str) -> str:
    """A key that tells nothing of what it is made from: BLAKE2b with a secret (RFC 7693 §2.9), quicker than an HMAC."""
    return blake2b(json.dumps(parts).encode(), key=secret_of(settings.SECRET_KEY), digest_size=32).hexdigest()


@cache
def secret_of(secret_key: str) -> bytes:
    """Of this use alone, as `django.utils.crypto.salted_hmac` derives it, which it does each time."""
    return sha256(f"versioned_cache{secret_key}".encode()).digest()


def remembered(key: str, load: Callable[[], Json]) -> Json:
    """What `load` returns, as of now or since the last write: a small value, quick to load, that JSON can express."""
    return json.loads(kept(key, lambda: json.dumps(load()).encode(), lock=0))


def answer(key: str, compute: Callable[[], bytes]) -> bytes:
    """What `compute` returns, as of now or since the last write; however many ask at a time, it is computed once.

    The key must hold all that the bytes depend on beside the data: who may see what, the query, the language.
    """
    return kept(key, compute, lock=store.LOCK)


def kept(key: str, compute: Callable[[], bytes], lock: float) -> bytes:
    if connection.in_atomic_block:
        return uncached(compute)
    body = memory.MEMORY.get(memory.seen_version(), key)
    if body is None:
        return fetched(key, compute, lock)
    TALLY.add("hits")
    return body


def fetched(key: str, compute: Callable[[], bytes], lock: float) -> bytes:
    try:
        version, value = found(key, lock)
    except Unavailable:
        return uncached(compute)
    if value is None:
        return computed(version, key, compute)
    if value in (COMPUTING, UNCACHED):
        return uncached(compute)
    TALLY.add("hits")
    body = store.unpacked(value)
    memory.MEMORY.keep(version, key, body)
    return body


def uncached(compute: Callable[[], bytes]) -> bytes:
    TALLY.add("bypasses")
    return compute()


def computed(version: str, key: str, compute: Callable[[], bytes]) -> bytes:
    TALLY.add("misses")
    try:
        body = compute()
    except BaseException:
        with suppress(Unavailable):  # those who wait shall find out for themselves what is wrong
            store.keep(version, key, UNCACHED, ttl=store.LOCK)
        raise
    with suppress(Unavailable):
        store.keep(version, key, store.packed(body))
    return body


def found(key: str, lock: float) -> tuple[str, bytes | None]:
    """The version and what is kept under it; waits for somebody who computes it, at most `lock` seconds."""
    if COMMITTED.is_owed.is_set():
        settle()
    version, value = store.look(key, known=memory.seen_version(), lock=lock)
    memory.see_version(version)
    if value == COMPUTING:
        TALLY.add("waits")
    deadline = time.monotonic() + lock
    while value == COMPUTING and time.monotonic() < deadline:
        time.sleep(POLL)
        version, value = store.look(key, known=version, lock=lock)
    return version, value


def settle() -> None:
    """Where the database is away, `compute` is the one to say so."""
    try:
        COMMITTED.settle()
    except Error as error:
        raise Unavailable from error

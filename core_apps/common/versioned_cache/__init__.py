"""Answers from Redis that are never older than what was committed before they were asked for."""

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.utils.crypto import salted_hmac

from core_apps.common.versioned_cache import store
from core_apps.common.versioned_cache.store import COMPUTING, UNCACHED, Unavailable
from core_apps.common.versioned_cache.writing import bump

__all__ = ["Json", "answer", "bump", "key_of", "remembered"]

Json = Any


def key_of(*parts: str) -> str:
    """A key that tells nothing of what it is made from."""
    return salted_hmac("versioned_cache", json.dumps(parts), algorithm="sha256").hexdigest()


def remembered(key: str, load: Callable[[], Json]) -> Json:
    """The small JSON value that `load` returns, as of now or since the last write."""
    return json.loads(answer(key, lambda: json.dumps(load()).encode()))


def answer(key: str, compute: Callable[[], bytes]) -> bytes:
    """The bytes that `compute` returns, as of now or since the last write."""
    if connection.in_atomic_block:
        return compute()
    try:
        version, value = looked_up(key)
    except Unavailable:
        return compute()
    if value is None:
        return computed(version, key, compute)
    return compute() if value in (COMPUTING, UNCACHED) else store.unpacked(value)


def looked_up(key: str) -> tuple[str, bytes | None]:
    deadline = time.monotonic() + store.LOCK
    version, value = store.look(key, lock=store.LOCK)
    while value == COMPUTING and time.monotonic() < deadline:
        time.sleep(0.01)
        version, value = store.look(key, known=version, lock=store.LOCK)
    return version, value


def computed(version: str, key: str, compute: Callable[[], bytes]) -> bytes:
    kept = UNCACHED
    try:
        body = compute()
        kept = store.packed(body)
    finally:
        with contextlib.suppress(Unavailable):
            store.keep(version, key, kept)
    return body

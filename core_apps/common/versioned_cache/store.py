"""What Redis keeps: the version that is on lease, and bytes under a version. Raises Unavailable for every failure."""

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from random import uniform
from typing import Any

import redis
from django.db import DEFAULT_DB_ALIAS, connections
from django_redis import get_redis_connection

from core_apps.common.versioned_cache import versions

LEASE = 1.0  # seconds for which a version may be taken from Redis after PostgreSQL was asked for it
TTL = 60.0  # seconds
JITTER = 0.1  # of it: what was computed together need not be gone together
LOCK = 3.0  # seconds for which one reader may compute and the others wait
LARGEST = 1_000_000  # bytes
# Bytes: more than a page of 50 customers has, for to unpack one would cost a quarter of its whole answer.
COMPRESSED_FROM = 64_000

COMPUTING, UNCACHED, PLAIN, PACKED = b"!", b"-", b"=", b"z"
PREFIX = "versioned:"

# Key: the version. Arguments: a version that is known or "", my claim, its milliseconds and those of the lock, and the
# two parts of the key of the bytes, between which the version is.
# Without memory Redis refuses to write, which `pcall` ignores: then nothing is claimed or locked.
READ = """
local version = ARGV[1]
if version == '' then
  version = redis.call('GET', KEYS[1])
  if not version then
    redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    local now = redis.call('TIME')
    return {ARGV[2], now[1] * 1000 + math.floor(now[2] / 1000)}
  end
  if string.sub(version, 1, 1) == '?' then return {version, false} end
end
local place = ARGV[5] .. version .. ':' .. ARGV[6]
local body = redis.call('GET', place)
if not body and ARGV[4] ~= '0' then redis.pcall('SET', place, '!', 'PX', ARGV[4]) end
return {version, body}
"""
# Key: the version. Arguments: my claim, the version, until when in milliseconds of Redis' clock.
PUBLISH = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3]) end
"""
SCRIPTS = {script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (READ, PUBLISH)}


class Unavailable(Exception):
    """Redis did not do it, or there is no version."""


@contextmanager
def failures() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise Unavailable from error


def run(script: str, *arguments: Any) -> Any:
    """Runs one of the scripts on the version's key."""
    client = get_redis_connection("default")
    with failures():
        try:
            return client.evalsha(SCRIPTS[script], 1, version_key(), *arguments)
        except redis.exceptions.NoScriptError:
            start_over(client)
            return client.evalsha(SCRIPTS[script], 1, version_key(), *arguments)


def start_over(client: Any) -> None:
    """A Redis that knows no script has begun anew, maybe from a snapshot or as a copy that lagged behind.

    Snapshots and copies hold no scripts. The version that it has may be one that a writer had removed.
    """
    with client.pipeline(transaction=True) as transaction:
        transaction.delete(version_key())
        for script in SCRIPTS:
            transaction.script_load(script)
        transaction.execute()


def version_key() -> str:
    parameters = connections[DEFAULT_DB_ALIAS].settings_dict
    return version_key_of(parameters["HOST"], str(parameters["PORT"]), parameters["NAME"])


@cache
def version_key_of(*database: str) -> str:
    """Of this database: another installation may share the Redis."""
    return f"{PREFIX}version:{hashlib.sha256(json.dumps(database).encode()).hexdigest()[:16]}"


def look(key: str, *, known: str = "", lock: float = 0) -> tuple[str, bytes | None]:
    """The version, `known` or else the present one, and what is kept under it and the key.

    Where there is nothing, the caller is the one to compute it within `lock` seconds; others are told COMPUTING.
    """
    claim = f"?{secrets.token_hex(8)}"
    version, body = run(READ, known, claim, round(1000 * LEASE), round(1000 * lock), PREFIX, key)
    version = version.decode()
    if version.startswith("?"):
        return look(key, known=asked(claim, since=body if version == claim else None), lock=lock)
    return version, body


def asked(claim: str, since: int | None) -> str:
    """The version in PostgreSQL; published if the claim, made at that millisecond, is still there."""
    answer = versions.current()
    if answer is None:
        raise Unavailable
    version, is_distrusted = answer
    if since is not None and not is_distrusted:
        run(PUBLISH, claim, version, since + round(1000 * LEASE))
    return version


def keep(version: str, key: str, value: bytes, ttl: float = TTL) -> None:
    place = f"{PREFIX}{version}:{key}"
    milliseconds = round(1000 * ttl * uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret
    client = get_redis_connection("default")
    with failures():
        try:
            client.set(place, value, px=milliseconds)
        except redis.ResponseError:  # it is full: nobody is to wait for what will not come
            client.delete(place)


def forget_version() -> None:
    with failures():
        get_redis_connection("default").delete(version_key())


def packed(body: bytes) -> bytes:
    if len(body) > LARGEST:
        return UNCACHED
    return PACKED + zlib.compress(body, 1) if len(body) > COMPRESSED_FROM else PLAIN + body


def unpacked(value: bytes) -> bytes:
    return zlib.decompress(memoryview(value)[1:]) if value.startswith(PACKED) else value[1:]

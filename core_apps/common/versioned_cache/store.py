"""What Redis keeps: the version that is on lease, and bytes under a version. Raises Unavailable for every failure."""

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
COMPRESSED_FROM = 1_000  # bytes

COMPUTING, UNCACHED, PLAIN, PACKED = b"!", b"-", b"=", b"z"
PREFIX = "versioned:"

# Keys: the version, counters. Arguments: a version that is known or "", my claim, its and the lock's milliseconds,
# where the bytes are, seconds of the counters.
# Without memory Redis refuses to write, which `pcall` ignores: then nothing is claimed, locked or counted.
READ = """
local counts = {}
for i = 2, #KEYS do
  local count = redis.pcall('INCR', KEYS[i])
  if count == 1 then redis.call('EXPIRE', KEYS[i], ARGV[7]) end
  counts[i - 1] = type(count) == 'number' and count or -1
end
local version = ARGV[1]
if version == '' then
  version = redis.call('GET', KEYS[1])
  if not version then
    redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    local now = redis.call('TIME')
    return {ARGV[2], now[1] * 1000 + math.floor(now[2] / 1000), counts}
  end
  if string.sub(version, 1, 1) == '?' then return {version, false, counts} end
end
local place = ARGV[5] .. version .. ':' .. ARGV[6]
local body = redis.call('GET', place)
if not body and ARGV[4] ~= '0' then redis.pcall('SET', place, '!', 'PX', ARGV[4]) end
return {version, body, counts}
"""
# Keys: the version. Arguments: my claim, the version, until when in milliseconds of Redis' clock.
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


def run(script: str, keys: Sequence[str], *arguments: Any) -> Any:
    client = get_redis_connection("default")
    with failures():
        try:
            return client.evalsha(SCRIPTS[script], len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            start_over(client)
            return client.evalsha(SCRIPTS[script], len(keys), *keys, *arguments)


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
    """Of this database: another installation may share the Redis."""
    parameters = connections[DEFAULT_DB_ALIAS].settings_dict
    name = json.dumps([str(parameters[part]) for part in ("HOST", "PORT", "NAME")])
    return f"{PREFIX}version:{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def look(key: str, *, known: str = "", lock: float = 0) -> tuple[str, bytes | None]:
    """The version, `known` or else the present one, and what is kept under it and the key.

    Where there is nothing, the caller is the one to compute it within `lock` seconds; others are told COMPUTING.
    """
    claim = f"?{secrets.token_hex(8)}"
    arguments = (known, claim, round(1000 * LEASE), round(1000 * lock), PREFIX, key, 60)
    version, body, _counts = run(READ, [version_key()], *arguments)
    if not version.startswith(b"?"):
        return version.decode(), body
    return look(key, known=asked(claim, since=body if version.decode() == claim else None), lock=lock)


def asked(claim: str, since: int | None) -> str:
    """The version in PostgreSQL; published if the claim, made at that millisecond, is still there."""
    version = versions.current()
    if version is None:
        raise Unavailable
    if since is not None:
        run(PUBLISH, [version_key()], claim, version, since + round(1000 * LEASE))
    return version


def keep(version: str, key: str, value: bytes, ttl: float = TTL) -> None:
    milliseconds = round(1000 * ttl * uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret
    with failures():
        get_redis_connection("default").set(f"{PREFIX}{version}:{key}", value, px=milliseconds)


def forget_version() -> None:
    with failures():
        get_redis_connection("default").delete(version_key())


def packed(body: bytes) -> bytes:
    if len(body) > LARGEST:
        return UNCACHED
    return PACKED + zlib.compress(body, 1) if len(body) > COMPRESSED_FROM else PLAIN + body


def unpacked(value: bytes) -> bytes:
    return zlib.decompress(memoryview(value)[1:]) if value.startswith(PACKED) else value[1:]

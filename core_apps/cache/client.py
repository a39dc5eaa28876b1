"""A Redis client that does not ask a Redis which did not answer a moment ago.

Each call to a silent server costs a whole socket timeout, and a page makes several: without this, losing the cache
would cost more than having it ever saved.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds
# On time.monotonic's clock, for all threads of the process; 0 while Redis answers.
_retry_at = 0.0


class RedisAwayError(redis.ConnectionError):
    """Refused without asking."""


@contextmanager
def guarded() -> Iterator[None]:
    """Around a call to Redis. Raises RedisAwayError for a second after a failure; then one call tries again."""
    global _retry_at
    if _retry_at:
        if time.monotonic() < _retry_at:
            raise RedisAwayError("Redis did not answer a moment ago")
        _retry_at = time.monotonic() + PAUSE  # meanwhile the others do without
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError):
        if not _retry_at:
            logger.warning("Redis does not answer; it is tried again every %s s", PAUSE)
        _retry_at = time.monotonic() + PAUSE
        raise
    except redis.ResponseError:  # a refusal is an answer
        _retry_at = 0.0
        raise
    if _retry_at:
        logger.info("Redis answers again")
    _retry_at = 0.0


class GuardedRedis(redis.Redis):
    """The client that django-redis makes."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with guarded():
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "GuardedPipeline":
        return GuardedPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class GuardedPipeline(redis.client.Pipeline):
    """Sends its commands past the client's `execute_command`."""

    def execute(self, raise_on_error: bool = True) -> Any:
        with guarded():
            return super().execute(raise_on_error)


def not_while_away(record: logging.LogRecord) -> bool:
    """A logging filter: the first failure is logged, the calls that it then spares are not."""
    error = record.exc_info[1] if record.exc_info else None
    while error:
        if isinstance(error, RedisAwayError):
            return False
        error = error.__cause__
    return True

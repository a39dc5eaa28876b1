"""A Redis client with a circuit breaker: after a failure, calls fail at once for a second.

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


class CircuitOpenError(redis.ConnectionError):
    """Raised without calling Redis, which failed a moment ago."""


@contextmanager
def circuit_breaker() -> Iterator[None]:
    """Wraps a call to Redis. Raises CircuitOpenError for PAUSE seconds after a failure; then one call tries again."""
    global _retry_at
    if _retry_at:
        if time.monotonic() < _retry_at:
            raise CircuitOpenError("Redis did not answer a moment ago")
        _retry_at = time.monotonic() + PAUSE  # one call tries, the others keep failing
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError):
        if not _retry_at:
            logger.warning("Redis does not answer; next try in %s s", PAUSE)
        _retry_at = time.monotonic() + PAUSE
        raise
    except redis.ResponseError:  # an error reply is a reply
        _retry_at = 0.0
        raise
    if _retry_at:
        logger.info("Redis answers again")
    _retry_at = 0.0


class CircuitBreakerRedis(redis.Redis):
    """The client class that the cache settings name."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        with circuit_breaker():
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> "CircuitBreakerPipeline":
        return CircuitBreakerPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


class CircuitBreakerPipeline(redis.client.Pipeline):
    """A pipeline does not use the client's `execute_command`."""

    def execute(self, raise_on_error: bool = True) -> Any:
        with circuit_breaker():
            return super().execute(raise_on_error)


def is_not_circuit_open(record: logging.LogRecord) -> bool:
    """A logging filter: the first failure is logged, the calls that then fail at once are not."""
    error = record.exc_info[1] if record.exc_info else None
    while error:
        if isinstance(error, CircuitOpenError):
            return False
        error = error.__cause__
    return True

"""A Redis client that stops asking a Redis that does not answer.

Each call to a silent server costs a whole socket timeout, and a page makes several: without this, losing the
cache would cost more than having it ever saved.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django_redis import get_redis_connection

from core_apps.common.breaker import Breaker, ServerAway


def ask_redis() -> None:
    """Past the breaker, which is open."""
    redis.Redis.execute_command(get_redis_connection("default"), "PING")  # type: ignore[no-untyped-call]


BREAKER = Breaker(pause=1, trial=1, name="Redis", probe=ask_redis)


@contextmanager
def guarded() -> Iterator[None]:
    """Around a question to Redis; raises redis.ConnectionError at once while the breaker is open."""
    try:
        BREAKER.check()
    except ServerAway as away:
        raise redis.ConnectionError("Redis does not answer") from away
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError):
        BREAKER.failed()
        raise
    except redis.ResponseError:
        BREAKER.answered()  # a refusal is an answer
        raise
    BREAKER.answered()


class GuardedRedis(redis.Redis):
    """The client that django-redis makes; one breaker for all threads of the process."""

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
    """A logging filter: the failure that opened the breaker is logged, the calls it then spares are not."""
    error = record.exc_info[1] if record.exc_info else None
    while error:
        if isinstance(error, ServerAway):
            return False
        error = error.__cause__
    return True

"""A Redis client that stops asking a Redis that does not answer.

Each call to a silent server costs a whole socket timeout, and a page makes several: without this, losing the
cache would cost more than having it ever saved.
"""

import logging
import threading
import time
from typing import Any

import redis

PAUSE = 2.0  # seconds without a call after a failure; then one call tries again


class RedisAway(redis.ConnectionError):
    """Refused without asking, because Redis did not answer a moment ago."""


class Breaker:
    """Open while the last answer was a failure; lets one call through after each pause."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open_until = 0.0  # on time.monotonic's clock; 0 while closed

    def check(self) -> None:
        """Raises RedisAway while open, except for the one call that is to try."""
        if not self._open_until:
            return
        with self._lock:
            now = time.monotonic()
            if self._open_until > now:
                raise RedisAway("Redis does not answer")
            if self._open_until:
                self._open_until = now + PAUSE

    def failed(self) -> None:
        self._open_until = time.monotonic() + PAUSE

    def answered(self) -> None:
        self._open_until = 0.0


BREAKER = Breaker()


class GuardedRedis(redis.Redis):
    """The client that django-redis makes; one breaker for all threads of the process."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        BREAKER.check()
        try:
            answer = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError):
            BREAKER.failed()
            raise
        BREAKER.answered()
        return answer


def not_while_away(record: logging.LogRecord) -> bool:
    """A logging filter: the failure that opened the breaker is logged, the calls it then spares are not."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error and error.__cause__, RedisAway)

"""How often one may ask, in windows of a minute.

Each process counts what it answers, and tells Redis, which knows the sum of all: when a second has passed, or a
fiftieth of what is left to ask. So who asks often costs few calls to Redis, and who is near the limit is counted at
each request; what other processes have not told yet can let a few more through. What Redis does not hear, because it is
away or full, the process goes on to count by itself.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import redis
from django.conf import settings
from django.utils.translation import gettext as _
from django_redis import get_redis_connection
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from core_apps.common.versioned_cache import key_of

WINDOW = 60  # seconds
PATIENCE = 1.0  # seconds
SHARE = 50
MOST_KEPT = 10_000  # counters of a process: addresses are cheap to whoever has many

# In one step, so that no counter is left without its end.
ADD = """
local counts = {}
for i, key in ipairs(KEYS) do
  counts[i] = redis.call('INCRBY', key, ARGV[i + 1])
  if counts[i] == tonumber(ARGV[i + 1]) then redis.call('EXPIRE', key, ARGV[1]) end
end
return counts
"""

Limit = tuple[str, int]  # who, and how many requests in a window


@dataclass(eq=False)
class Counter:
    key: tuple[int, str]  # the window, and who
    told: int = 0  # requests of all processes, as far as is known here
    untold: int = 0  # those of this process that Redis has not heard of
    told_at: float = 0.0  # on time.monotonic's clock

    def is_due(self, limit: int, now: float) -> bool:
        """Not for whoever is refused anyway."""
        left = limit - self.told
        return left >= 0 and (self.untold >= max(1, left // SHARE) or now - self.told_at >= PATIENCE)


class Counters:
    """Of one process; the oldest make room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[tuple[int, str], Counter] = {}

    def count(self, window: int, limits: Sequence[Limit]) -> list[int]:
        now = time.monotonic()
        with self._lock:
            counters = [self._counted((window, who)) for who, _limit in limits]
        if any(counter.is_due(limit, now) for counter, (_who, limit) in zip(counters, limits, strict=True)):
            self._tell(counters, now)
        return [counter.told + counter.untold for counter in counters]

    def _counted(self, key: tuple[int, str]) -> Counter:
        counter = self._counters.get(key)
        if counter is None:
            while len(self._counters) >= MOST_KEPT:
                del self._counters[next(iter(self._counters))]
            counter = self._counters[key] = Counter(key)
        counter.untold += 1
        return counter

    def _tell(self, counters: Sequence[Counter], now: float) -> None:
        with self._lock:
            news = [counter.untold for counter in counters]
            self._move(counters, news)
        try:
            sums = add([key_of("rate", str(window), who) for window, who in (one.key for one in counters)], news)
        except redis.RedisError:
            with self._lock:
                self._move(counters, [-number for number in news])
            return
        with self._lock:
            for counter, known in zip(counters, sums, strict=True):
                counter.told, counter.told_at = max(counter.told, known), now

    @staticmethod
    def _move(counters: Sequence[Counter], numbers: Sequence[int]) -> None:
        """From untold to told, so that no thread misses them meanwhile."""
        for counter, number in zip(counters, numbers, strict=True):
            counter.told += number
            counter.untold -= number


def add(keys: Sequence[str], numbers: Sequence[int]) -> list[int]:
    """Raises RedisError where Redis is away, full or read-only."""
    client = get_redis_connection("default")
    return [int(count) for count in client.eval(ADD, len(keys), *keys, 2 * WINDOW, *numbers)]


COUNTERS = Counters()


def refuse_too_many(request: Request) -> None:
    """Raises Throttled, with the seconds until the window ends.

    What is refused counts too. Who has said who they are is counted by that as well as by address.
    """
    count_all([(f"address {address_of(request)}", settings.API_RATE_PER_ADDRESS), *limits_of(request)])


def refuse_failures(request: Request) -> None:
    """For a request whose token is not valid. Raises Throttled; nobody with a valid one is kept out by it."""
    count_all([(f"failures {address_of(request)}", settings.API_RATE_OF_FAILURES)])


def limits_of(request: Request) -> list[Limit]:
    if request.auth is not None:
        return [(f"token {request.auth.pk}", settings.API_RATE_PER_TOKEN)]
    return [(f"user {request.user.pk}", settings.API_RATE_PER_TOKEN)] if request.user.is_authenticated else []


def address_of(request: Request) -> str:
    """The client's: nginx says it to Gunicorn, and nobody else is believed (config/gunicorn.py)."""
    return str(request.META.get("REMOTE_ADDR", ""))


def count_all(limits: Sequence[Limit]) -> None:
    now = time.time()
    counts = COUNTERS.count(int(now // WINDOW), limits)
    if any(count > limit for count, (_who, limit) in zip(counts, limits, strict=True)):
        raise Throttled(wait=WINDOW - now % WINDOW, detail=_("Too many requests."))

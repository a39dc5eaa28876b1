"""How often one may ask: windows of a minute, counted in Redis for all processes, and in each by itself without it."""

import logging
import threading
import time
from collections.abc import Sequence

import redis
from django.conf import settings
from django.utils.translation import gettext as _
from django_redis import get_redis_connection
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from core_apps.common.versioned_cache import key_of

logger = logging.getLogger(__name__)

WINDOW = 60  # seconds
MOST_KEPT = 10_000  # counters of a process: addresses are cheap to whoever has many

# All in one step, so that no counter is left without its end.
COUNT = """
local counts = {}
for i, key in ipairs(KEYS) do
  counts[i] = redis.call('INCR', key)
  if counts[i] == 1 then redis.call('EXPIRE', key, ARGV[1]) end
end
return counts
"""

Limit = tuple[str, int]  # who, and how many requests in a window


class LocalCounters:
    """For while Redis does not count: each process by itself, and only in the present window."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def count(self, keys: Sequence[str]) -> list[int]:
        with self._lock:
            return [self._counted(key) for key in keys]

    def _counted(self, key: str) -> int:
        """The oldest make room; the keys hold the window, so those of a past one are the first to go."""
        count = self._counts.pop(key, 0) + 1
        while len(self._counts) >= MOST_KEPT:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = count
        return count


LOCAL = LocalCounters()


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
    counts = counted([key_of("rate", str(int(now // WINDOW)), who) for who, _limit in limits])
    if any(count > limit for count, (_who, limit) in zip(counts, limits, strict=True)):
        # Never 0, which a client would take for now.
        raise Throttled(wait=WINDOW - now % WINDOW, detail=_("Too many requests."))


def counted(keys: Sequence[str]) -> list[int]:
    """Also where Redis is away, full or read-only: no count at all would be no limit."""
    try:
        client = get_redis_connection("default")
        return [int(count) for count in client.eval(COUNT, len(keys), *keys, 2 * WINDOW)]
    except redis.RedisError:
        return LOCAL.count(keys)

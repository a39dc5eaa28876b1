"""How often a client may ask, per minute: counted in Redis, and by each process for itself where Redis is away.

In the prod tier nginx limits the requests of an address besides (nginx/snippets/rate-limits.conf).
"""

import time
from functools import cache

import redis
from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django_redis import get_redis_connection
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage, Storage
from limits.strategies import FixedWindowRateLimiter
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from core_apps.cache.client import guarded

MEMORY = MemoryStorage()


def refuse_too_many(request: Request) -> None:
    """Counts a request of somebody who is known. Raises Throttled, with the seconds to wait."""
    if request.auth is not None:
        count(f"token {request.auth.pk}", settings.API_RATE_PER_TOKEN)
    elif request.user.is_authenticated:
        count(f"user {request.user.pk}", settings.API_RATE_PER_TOKEN)


def refuse_failures(request: Request) -> None:
    """Counts a request whose token is not valid. Raises Throttled; a valid token is never kept out by it."""
    # nginx tells Gunicorn the client's address, and nobody else is believed (config/gunicorn.py).
    count(f"failures {request.META.get('REMOTE_ADDR', '')}", settings.API_RATE_OF_FAILURES)


def count(client: str, limit: int) -> None:
    item, key = RateLimitItemPerMinute(limit), salted_hmac("throttles", client).hexdigest()
    try:
        with guarded():
            hit(redis_storage(str(settings.CACHES["default"]["LOCATION"])), item, key)
    except redis.RedisError:
        hit(MEMORY, item, key)


def hit(storage: Storage, item: RateLimitItemPerMinute, key: str) -> None:
    limiter = FixedWindowRateLimiter(storage)
    if not limiter.hit(item, key):
        wait = limiter.get_window_stats(item, key).reset_time - time.time()
        raise Throttled(wait=wait, detail=_("Too many requests."))


@cache
def redis_storage(location: str) -> RedisStorage:
    return RedisStorage(location, connection_pool=get_redis_connection("default").connection_pool)

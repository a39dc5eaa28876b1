"""Rate limits per minute, counted in Redis, or in each process while Redis is down.

In the prod tier nginx also limits the requests of each address (nginx/snippets/rate-limits.conf).
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

from core_apps.cache.client import circuit_breaker

MEMORY = MemoryStorage()


def throttle_request(request: Request) -> None:
    """Counts an authenticated request. Raises Throttled, with the seconds to wait."""
    if request.auth is not None:
        count_request(f"token {request.auth.pk}", settings.API_RATE_PER_TOKEN)
    elif request.user.is_authenticated:
        count_request(f"user {request.user.pk}", settings.API_RATE_PER_TOKEN)


def throttle_failure(request: Request) -> None:
    """Counts a request whose token is not valid. Raises Throttled; requests with a valid token are not affected."""
    # Gunicorn trusts only nginx to name the client's address (config/gunicorn.py).
    count_request(f"failures {request.META.get('REMOTE_ADDR', '')}", settings.API_RATE_OF_FAILURES)


def count_request(client: str, limit: int) -> None:
    item, key = RateLimitItemPerMinute(limit), salted_hmac("throttles", client).hexdigest()
    try:
        with circuit_breaker():
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

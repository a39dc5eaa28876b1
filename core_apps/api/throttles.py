"""Rate limits per minute, counted in Redis, or in each process while Redis is down.

In the prod tier nginx also limits the requests of each address (nginx/snippets/rate-limits.conf).
"""

import time
from functools import cache
from ipaddress import ip_address, ip_network

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
    count_request(f"failures {get_address(request)}", settings.API_RATE_OF_FAILURES)


def get_address(request: Request) -> str:
    """Return the client's address: the last one that a trusted proxy names, or that of the connection."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
    return forwarded if forwarded and address and is_trusted(address) else address


def is_trusted(address: str) -> bool:
    """Whether FORWARDED_ALLOW_IPS, which Gunicorn reads for the scheme only, contains the address."""
    proxies = [proxy.strip() for proxy in settings.FORWARDED_ALLOW_IPS.split(",")]
    return "*" in proxies or any(ip_address(address) in ip_network(proxy) for proxy in proxies)


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

"""The list of 50 customers over the API with Redis running, paused and killed.

python -m bench.cache; on engines of its own: `make bench-cache`. Everything in one process, one request at a time.
"""

import os
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import django

from config.local.servers import find_free_port
from config.local.valkey import Valkey

HOME = Path(tempfile.mkdtemp())
SERVER = Valkey(HOME, "a-password")
REDIS_PORT = find_free_port()
PROCESS, os.environ["REDIS_URL"] = SERVER.launch(REDIS_PORT), SERVER.url(REDIS_PORT)
os.environ |= {"LOG_FORMAT": "json", "API_RATE_PER_TOKEN": "100000000"}
django.setup()

from django.conf import settings  # noqa: E402 - models need the set-up
from django.contrib.sessions.models import Session  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.fill import fill  # noqa: E402
from bench.measurements import (  # noqa: E402
    alternate,
    check_bar,
    compute_milliseconds,
    invalidate,
    print_line,
    request,
)
from core_apps.accounts.models import ApiToken, User  # noqa: E402
from core_apps.cache import client  # noqa: E402
from customers.models import Tag  # noqa: E402

CUSTOMERS = int(os.environ.get("CUSTOMERS") or 10_000)
LIST = "/api/v1/customers/"
SECONDS = 8.0
MAX_SHARE_OF_UNCACHED, MAX_RECOVERY_SECONDS = 1.5, 10.0
application = WSGIHandler()


def ask(token: str) -> float:
    return request(application, LIST, token)


def measure_uncached(token: str) -> float:
    invalidate()
    return ask(token)


def times(once: Callable[[], float], seconds: float = SECONDS) -> list[float]:
    return alternate(seconds, once=once)["once"]


def write() -> float:
    started = time.perf_counter()
    Tag.objects.filter(name="bench").update(name="bench")
    return time.perf_counter() - started


def plain_write() -> float:
    """Time a write without the trigger, as to a table that no cached response shows."""
    started = time.perf_counter()
    Session.objects.filter(session_key="bench").update(session_data="bench")
    return time.perf_counter() - started


def print_writes() -> None:
    Tag.objects.create(name="bench")
    Session.objects.create(session_key="bench", session_data="bench", expire_date=timezone.now())
    normal, plain = times(write, 3), times(plain_write, 3)
    PROCESS.suspend()
    paused = times(write, 3)
    PROCESS.resume()
    print_line("write of one row", normal)
    print_line(
        "without the trigger", plain, f"{compute_milliseconds(normal)[0] / compute_milliseconds(plain)[0]:.2f} with it"
    )
    print_line(
        "Redis is paused",
        paused,
        check_bar(compute_milliseconds(paused)[0] / compute_milliseconds(normal)[0], MAX_SHARE_OF_UNCACHED),
    )


def through(name: str, harm: Callable[[], None], heal: Callable[[], None], token: str, slow: list[float]) -> None:
    ask(token)
    harm()
    first = ask(token)
    away = times(lambda: ask(token))
    heal()
    back = time.monotonic()
    while client._retry_at:
        ask(token)
    recovered = time.monotonic() - back
    share = compute_milliseconds(away)[1] / compute_milliseconds(slow)[1]
    print_line(name, away, f"p95 of the uncached {check_bar(share, MAX_SHARE_OF_UNCACHED)}")
    print(f"  the first took {1000 * first:.0f} ms; cached again after {check_bar(recovered, MAX_RECOVERY_SECONDS)} s")


def kill() -> None:
    PROCESS.kill()
    PROCESS.wait()


def start_again() -> None:
    global PROCESS
    PROCESS = SERVER.launch(REDIS_PORT)


def main() -> None:
    call_command("migrate", verbosity=0)
    fill(CUSTOMERS)
    user = User.objects.create_superuser("bench@example.com")
    _token, token = ApiToken.objects.create_token(user, timedelta(days=1), name="bench", scopes=["read"])
    settings.ALLOWED_HOSTS = ["localhost"]
    print(f"{CUSTOMERS:,} customers{'requests':>22}{'ms':>10}{'p95':>10}")
    print_writes()
    cached, slow = times(lambda: ask(token)), times(lambda: measure_uncached(token))
    print_line("cached", cached)
    print_line("not cached", slow)
    through("Redis is paused", PROCESS.suspend, PROCESS.resume, token, slow)
    through("Redis is killed", kill, start_again, token, slow)


if __name__ == "__main__":
    try:
        main()
    finally:
        PROCESS.kill()

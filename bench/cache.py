"""The list of 50 customers over the API while Redis is well, paused and killed, and beside an empty view.

python -m bench.cache; on engines of its own: `make bench-cache`. Everything in one process, one request at a time.
"""

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import django

from config.local.valkey import Valkey

HOME = Path(tempfile.mkdtemp())
SERVER = Valkey(HOME, "a-password")
PROCESS, os.environ["REDIS_URL"] = SERVER.start()
os.environ |= {"LOG_FORMAT": "json", "API_RATE_PER_TOKEN": "100000000", "API_RATE_PER_ADDRESS": "100000000"}
django.setup()

from django.conf import settings  # noqa: E402 - models need the set-up
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from config.urls import urlpatterns  # noqa: E402
from core_apps.accounts.models import ApiToken, User  # noqa: E402
from core_apps.common import caching  # noqa: E402
from core_apps.common.versioned_cache import bump  # noqa: E402
from customers.demo.filling import fill  # noqa: E402

CUSTOMERS = int(os.environ.get("CUSTOMERS") or 10_000)
LIST, NOTHING = "/api/v1/customers/", "/nothing/"
SECONDS = 8.0
MOST_OF_UNCACHED, MOST_OF_NOTHING, LEAST_FASTER, MOST_RECOVERY = 1.5, 3.0, 5.0, 10.0
application = WSGIHandler()


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"{}", content_type="application/json")


def request(address: str, token: str) -> float:
    """Seconds of one GET."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": address,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "HTTP_HOST": "localhost",
        "HTTP_AUTHORIZATION": f"Token {token}",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    statuses: list[str] = []
    started = time.perf_counter()
    response = application(environ, lambda status, headers: statuses.append(status))
    b"".join(response)
    response.close()
    seconds = time.perf_counter() - started
    if statuses != ["200 OK"]:
        raise SystemExit(f"{address} was answered by {statuses}")
    return seconds


def times(once: Callable[[], float], *, seconds: float = SECONDS) -> list[float]:
    until = time.monotonic() + seconds
    found = [once()]
    while time.monotonic() < until:
        found.append(once())
    return found


def milliseconds(found: list[float]) -> tuple[float, float]:
    """The median, and of 100 the 95th."""
    return 1000 * median(found), 1000 * quantiles(found, n=100)[94]


def line(name: str, found: list[float], verdict: str = "") -> None:
    middle, p95 = milliseconds(found)
    print(f"{name:32}{len(found):>8,}{middle:>10.2f}{p95:>10.2f}  {verdict}", flush=True)


def verdict(value: float, limit: float, *, least: bool = False) -> str:
    kept = value >= limit if least else value <= limit
    return f"{value:.2f} ({'at least' if least else 'at most'} {limit:g}): {'yes' if kept else 'NO'}"


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(count):
        yield seen


def beside_nothing(token: str) -> list[float]:
    """Returns the times of the uncached list."""
    empty, cached = times(lambda: request(NOTHING, token)), times(lambda: request(LIST, token))
    with statements() as seen:
        request(LIST, token)
        request(LIST, token)

    def uncached_once() -> float:
        bump()
        return request(LIST, token)

    uncached = times(uncached_once)
    line("an empty view", empty)
    line("cached", cached, f"of the empty view {verdict(median(cached) / median(empty), MOST_OF_NOTHING)}")
    line("uncached", uncached, f"of the cached {verdict(median(uncached) / median(cached), LEAST_FASTER, least=True)}")
    print(f"{len(seen)} statements in two cached requests, one of them when a lease has ended")
    return uncached


def through(name: str, harm: Callable[[], None], heal: Callable[[], None], token: str, uncached: list[float]) -> None:
    times(lambda: request(LIST, token), seconds=0.5)
    harm()
    first = request(LIST, token)
    away = times(lambda: request(LIST, token))
    heal()
    back = time.monotonic()
    while caching.BREAKER.is_open:
        request(LIST, token)
    recovered = time.monotonic() - back
    share = milliseconds(away)[1] / milliseconds(uncached)[1]
    line(name, away, f"p95 of the uncached {verdict(share, MOST_OF_UNCACHED)}")
    print(f"  the first took {1000 * first:.0f} ms; cached again after {verdict(recovered, MOST_RECOVERY)} s")


def kill() -> None:
    PROCESS.kill()
    PROCESS.wait()


def start_again(port: int) -> None:
    global PROCESS
    PROCESS = SERVER.launch(port)
    SERVER.wait(PROCESS, port)


def main() -> None:
    call_command("migrate", verbosity=0)
    fill(CUSTOMERS, lambda name, rows: None)
    user = User.objects.create_superuser("bench@example.com")
    _token, token = ApiToken.objects.create(user, timedelta(days=1), name="bench", scopes=["read"])
    urlpatterns.append(path(NOTHING.lstrip("/"), nothing))
    settings.ALLOWED_HOSTS = ["localhost"]
    port = SERVER.port_of(PROCESS)
    print(f"{CUSTOMERS:,} customers{'requests':>22}{'ms':>10}{'p95':>10}")
    uncached = beside_nothing(token)
    through("Redis is paused", PROCESS.suspend, PROCESS.resume, token, uncached)
    through("Redis is killed", kill, lambda: start_again(port), token, uncached)


if __name__ == "__main__":
    try:
        main()
    finally:
        PROCESS.kill()

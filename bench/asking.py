"""Requests to the application in this process, one at a time, and what they took."""

import gc
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any, TypeVar

import psutil
from django.db import connection

Application = Callable[..., Any]
Found = TypeVar("Found")
ATTEMPTS, PAUSE = 4, 5.0  # seconds
MOST_STOLEN = 0.05  # of one processor's time


def request(application: Application, address: str, token: str = "") -> float:
    """Seconds of one GET."""
    path, _, query = address.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Token {token}"
    statuses: list[str] = []
    started = time.perf_counter()
    response = application(environ, lambda status, headers: statuses.append(status))
    b"".join(response)
    response.close()
    seconds = time.perf_counter() - started
    if statuses != ["200 OK"]:
        raise SystemExit(f"{address} was answered by {statuses}")
    return seconds


def in_turn(seconds: float, **ways: Callable[[], float]) -> dict[str, list[float]]:
    """What each way takes, asked in turn for so many seconds, so that all meet the same machine; once to warm up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for once in ways.values():
        once()
    gc.collect()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, once in ways.items():
            found[name].append(once())
    return found


def in_peace(measure: Callable[[], Found]) -> Found:
    """What it finds; anew, a few times at most, where the host gave this machine's processors to others meanwhile."""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE if attempt else 0)
        started, before = time.monotonic(), stolen()
        found = measure()
        share = (stolen() - before) / (time.monotonic() - started)
        if share <= MOST_STOLEN:
            return found
    print(f"disturbed: {share:.0%} of a processor's time went to others of the host", flush=True)
    return found


def stolen() -> float:
    """Seconds so far; only Linux counts them."""
    return float(getattr(psutil.cpu_times(), "steal", 0))


def milliseconds(found: list[float]) -> tuple[float, float]:
    """The median, and of 100 the 95th."""
    return 1000 * median(found), 1000 * quantiles(found, n=100)[94]


def line(name: str, found: list[float], *verdicts: str) -> None:
    middle, p95 = milliseconds(found)
    print(f"{name:32}{len(found):>8,}{middle:>10.3f}{p95:>10.3f}  {'; '.join(verdicts)}", flush=True)


def verdict(value: float, limit: float, *, least: bool = False) -> str:
    kept = value >= limit if least else value <= limit
    return f"{value:.2f} ({'>=' if least else '<='} {limit:g}) {'met' if kept else 'MISSED'}"


def invalidate() -> None:
    """Make all cached answers old ones, as a write does."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE data_version SET n = n + 1 WHERE slot = 1")


@contextmanager
def statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(count):
        yield seen

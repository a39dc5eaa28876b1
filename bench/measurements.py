"""Times requests to the application in this process, one at a time."""

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
Result = TypeVar("Result")
ATTEMPTS, PAUSE = 4, 5.0  # seconds
MAX_STEAL = 0.05  # of one CPU's time


def request(application: Application, address: str, token: str = "") -> float:
    """Return the seconds of one GET request."""
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
        raise SystemExit(f"{address} responded with {statuses}")
    return seconds


def alternate(seconds: float, **ways: Callable[[], float]) -> dict[str, list[float]]:
    """Time each function in turn for so many seconds, so that all run under the same load, after one warm-up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for once in ways.values():
        once()
    gc.collect()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, once in ways.items():
            found[name].append(once())
    return found


def measure_undisturbed(measure: Callable[[], Result]) -> Result:
    """Return the measurement, repeated a few times at most while the host takes CPU time from this machine."""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE if attempt else 0)
        started, before = time.monotonic(), get_steal_seconds()
        found = measure()
        share = (get_steal_seconds() - before) / (time.monotonic() - started)
        if share <= MAX_STEAL:
            return found
    print(f"disturbed: the host took {share:.0%} of a CPU's time", flush=True)
    return found


def get_steal_seconds() -> float:
    """Return the CPU time that the host has taken; only Linux counts it."""
    return float(getattr(psutil.cpu_times(), "steal", 0))


def compute_milliseconds(found: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    return 1000 * median(found), 1000 * quantiles(found, n=100)[94]


def print_line(name: str, found: list[float], *verdicts: str) -> None:
    middle, p95 = compute_milliseconds(found)
    print(f"{name:32}{len(found):>8,}{middle:>10.3f}{p95:>10.3f}  {'; '.join(verdicts)}", flush=True)


def check_bar(value: float, limit: float, *, at_least: bool = False) -> str:
    kept = value >= limit if at_least else value <= limit
    return f"{value:.2f} ({'>=' if at_least else '<='} {limit:g}) {'met' if kept else 'MISSED'}"


def invalidate() -> None:
    """Invalidate all cached responses, as a write does."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE data_version SET n = n + 1 WHERE slot = 1")


@contextmanager
def record_statements() -> Iterator[list[str]]:
    seen: list[str] = []

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        seen.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(count):
        yield seen


@contextmanager
def own_database() -> Iterator[None]:
    """Within the block the connection is to an empty, migrated database."""
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)

"""Measures responses of the API: beside an empty view, beside two other frameworks, and in a small and a large table.

CUSTOMERS=1000000 python -m bench.api, on engines of its own: `make bench-api`. wrk must be installed. How the API does
while Redis is away is `make bench-cache`.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from statistics import median
from typing import Any
from urllib.parse import urlencode

UNLIMITED = {"API_RATE_PER_TOKEN": "100000000"}
os.environ |= {"LOG_FORMAT": "json", "LOG_LEVEL": "INFO", "ALLOWED_HOSTS": "localhost,127.0.0.1", **UNLIMITED}

from bench.api_peers import application  # noqa: E402 - reads the environment

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402  isort: skip
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import override_settings  # noqa: E402

from bench.fill import fill  # noqa: E402
from bench.measurements import (  # noqa: E402
    alternate,
    check_bar,
    compute_milliseconds,
    invalidate,
    print_line,
    record_statements,
    request,
)
from core_apps.accounts.models import ApiToken, User  # noqa: E402
from core_apps.big_lists.pagination import AFTER, Keyset  # noqa: E402
from customers.models import Customer  # noqa: E402

FEW, CUSTOMERS = 1_000, int(os.environ.get("CUSTOMERS") or 200_000)
SECONDS, ROUNDS, CLIENTS, PORT = 6.0, 5, 8, 8099
LIST, NOTHING, LIVENESS = "/api/v1/customers/", "/nothing/", "/api/v1/health/"
STANDARD = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


def measure_uncached(address: str, token: str) -> float:
    invalidate()
    return request(application, address, token)


def print_costs(token: str) -> None:
    """Time requests in this process, one at a time, with the access log."""
    with override_settings(MIDDLEWARE=STANDARD):
        standard = WSGIHandler()
    found = alternate(
        3 * SECONDS,
        standard=lambda: request(standard, NOTHING),
        nothing=lambda: request(application, NOTHING),
        liveness=lambda: request(application, LIVENESS),
        cached=lambda: request(application, LIST, token),
    )
    slow = alternate(SECONDS, measure_uncached=lambda: measure_uncached(LIST, token))["measure_uncached"]
    base, plain, cached = (median(found[name]) for name in ("nothing", "standard", "cached"))
    print(f"{'in process':32}{'requests':>8}{'ms':>10}{'p95':>10}")
    print_line("empty view, 7 middlewares", found["standard"])
    print_line("empty view", found["nothing"], f"of the 7's {check_bar(base / plain, 2)}")
    print_line("liveness", found["liveness"], f"of the empty view {check_bar(median(found['liveness']) / base, 0.4)}")
    print_line("list, cached", found["cached"], f"of the empty view {check_bar(cached / base, 4)}")
    print_line("list, not cached", slow, f"of the cached {check_bar(median(slow) / cached, 5, at_least=True)}")
    print(
        f"Sentry without SENTRY_DSN: {'not imported, met' if 'sentry_sdk' not in sys.modules else 'imported, MISSED'}"
    )


def print_queries(token: str) -> None:
    row = f"{LIST}{Customer.objects.order_by('-created_at')[0].public_id}/"
    for name, address, most in (("list", LIST, 5), ("search", f"{LIST}?search=nordlys", 6), ("row", row, 6)):
        with record_statements() as seen:
            measure_uncached(address, token)
        with record_statements() as cached:
            request(application, address, token)
        asked = [sql for sql in seen if "UPDATE data_version" not in sql]
        print(f"{name:32}{len(asked)} statements, {check_bar(len(asked), most)}; cached {check_bar(len(cached), 1)}")


def pages() -> dict[str, str]:
    """Return addresses that should take as long with a large table as with a small one."""
    half = Customer.objects.order_by("-created_at", "-pk")[Customer.objects.count() // 2]
    keyset = Keyset(Customer.objects.all(), ["-created_at", "-pk"], 50, lambda rows: rows)
    deep = urlencode({"cursor": keyset.cursor(AFTER, half)})
    return {
        "list": LIST,
        "half-way page": f"{LIST}?{deep}",
        "by name": f"{LIST}?ordering=name",
        "search": f"{LIST}?{urlencode({'search': f'{half.given_name} {half.family_name}'})}",
        "filter": f"{LIST}?stage=customer&country=DE",
        "row": f"{LIST}{half.public_id}/",
    }


def measure_growth(token: str) -> dict[str, list[float]]:
    found = pages()
    return alternate(
        SECONDS, **{name: lambda address=address: measure_uncached(address, token) for name, address in found.items()}
    )


def print_sizes(small: dict[str, list[float]], large: dict[str, list[float]]) -> None:
    print(f"\n{f'not cached, {CUSTOMERS:,}':32}{'requests':>8}{'ms':>10}{'p95':>10}  p95 of that at {FEW:,}")
    for name, found in large.items():
        growth = compute_milliseconds(found)[1] / compute_milliseconds(small[name])[1]
        flat = compute_milliseconds(found)[1] / compute_milliseconds(large["list"])[1]
        print_line(
            name, found, check_bar(growth, 3), *([f"of the first {check_bar(flat, 1.5)}"] if "page" in name else [])
        )


@contextmanager
def run_gunicorn() -> Iterator[None]:
    """Run Gunicorn as in the tiers, with one worker: wrk needs the other CPU."""
    options = ["-c", "config/gunicorn.py", "--bind", f"127.0.0.1:{PORT}", "--workers", "1", "--max-requests", "0"]
    command = [sys.executable, "-m", "gunicorn", "bench.api_peers:application", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | {"HTTPS": "0"}, **quiet) as process:  # type: ignore[call-overload]
        try:
            time.sleep(4)
            yield
        finally:
            process.terminate()


def requests_per_second(address: str, token: str) -> float:
    wrk = ["wrk", "-t1", f"-c{CLIENTS}", "-d4s", "-H", f"Authorization: Token {token}"]
    said = subprocess.run(
        [*wrk, f"http://127.0.0.1:{PORT}{address}"], capture_output=True, text=True, check=True
    ).stdout
    if failed := re.search(r"Non-2xx.*|Socket errors.*", said):
        raise SystemExit(f"{address}: {failed[0]}")
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    assert rate, said
    return float(rate[1])


def print_peers(token: str) -> None:
    addresses = {
        "empty view": NOTHING,
        "list, cached": LIST,
        "list in plain DRF": "/drf/customers/",
        "list in django-ninja": "/ninja/customers/",
    }
    with run_gunicorn():
        rounds = [
            {name: requests_per_second(path, token) for name, path in addresses.items()} for _ in range(ROUNDS + 1)
        ]
    rates = {name: median(one[name] for one in rounds[1:]) for name in addresses}  # the first round warms up
    print(f"\n{'through Gunicorn, requests/s':32}{'':8}{f'wrk, {CLIENTS} clients, median of {ROUNDS} rounds'}")
    for name, rate in rates.items():
        times = rates["list, cached"] / rate
        bar = check_bar(times, 8, at_least=True) if "DRF" in name else f"{times:.1f}"
        print(f"{name:32}{rate:>8,.0f}  our cached list is {bar} times as fast")


def create_token(user: Any) -> str:
    _row, token = ApiToken.objects.create_token(user, timedelta(days=1), name="bench", scopes=["read"])
    return str(token)


def fill_up(customers: int) -> None:
    fill(customers)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")


def main() -> None:
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed; Debian has it under this name")
    call_command("migrate", verbosity=0)
    token = create_token(User.objects.create_superuser("bench@example.com"))
    fill_up(FEW)
    small = measure_growth(token)
    fill_up(CUSTOMERS - FEW)
    print(f"{CUSTOMERS:,} customers")
    print_costs(token)
    print_queries(token)
    print_sizes(small, measure_growth(token))
    print_peers(token)


if __name__ == "__main__":
    main()

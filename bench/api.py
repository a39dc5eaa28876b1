"""What an answer of the API costs: beside an empty view, beside two other frameworks, and in a small and a large table.

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

from bench.asking import in_turn, invalidate, line, milliseconds, request, statements, verdict  # noqa: E402
from bench.filling import fill  # noqa: E402
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


def uncached(address: str, token: str) -> float:
    invalidate()
    return request(application, address, token)


def print_costs(token: str) -> None:
    """In this process, one request at a time; the line of the access log included."""
    with override_settings(MIDDLEWARE=STANDARD):
        standard = WSGIHandler()
    found = in_turn(
        3 * SECONDS,
        standard=lambda: request(standard, NOTHING),
        nothing=lambda: request(application, NOTHING),
        liveness=lambda: request(application, LIVENESS),
        cached=lambda: request(application, LIST, token),
    )
    slow = in_turn(SECONDS, uncached=lambda: uncached(LIST, token))["uncached"]
    base, plain, cached = (median(found[name]) for name in ("nothing", "standard", "cached"))
    print(f"{'in process':32}{'requests':>8}{'ms':>10}{'p95':>10}")
    line("empty view, 7 middlewares", found["standard"])
    line("empty view", found["nothing"], f"of the 7's {verdict(base / plain, 2)}")
    line("liveness", found["liveness"], f"of the empty view {verdict(median(found['liveness']) / base, 0.4)}")
    line("list, cached", found["cached"], f"of the empty view {verdict(cached / base, 4)}")
    line("list, not cached", slow, f"of the cached {verdict(median(slow) / cached, 5, least=True)}")
    print(
        f"Sentry without SENTRY_DSN: {'not imported, met' if 'sentry_sdk' not in sys.modules else 'imported, MISSED'}"
    )


def print_queries(token: str) -> None:
    row = f"{LIST}{Customer.objects.order_by('-created_at')[0].public_id}/"
    for name, address, most in (("list", LIST, 5), ("search", f"{LIST}?search=nordlys", 6), ("row", row, 6)):
        with statements() as seen:
            uncached(address, token)
        with statements() as cached:
            request(application, address, token)
        asked = [sql for sql in seen if not sql.startswith("UPDATE data_version")]
        print(f"{name:32}{len(asked)} statements, {verdict(len(asked), most)}; cached {verdict(len(cached), 1)}")


def pages() -> dict[str, str]:
    """Addresses whose answers are to take as long in a large table as in a small one."""
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


def sized(token: str) -> dict[str, list[float]]:
    found = pages()
    return in_turn(
        SECONDS, **{name: lambda address=address: uncached(address, token) for name, address in found.items()}
    )


def print_sizes(small: dict[str, list[float]], large: dict[str, list[float]]) -> None:
    print(f"\n{f'not cached, {CUSTOMERS:,}':32}{'requests':>8}{'ms':>10}{'p95':>10}  p95 of that at {FEW:,}")
    for name, found in large.items():
        growth = milliseconds(found)[1] / milliseconds(small[name])[1]
        flat = milliseconds(found)[1] / milliseconds(large["list"])[1]
        line(name, found, verdict(growth, 3), *([f"of the first {verdict(flat, 1.5)}"] if "page" in name else []))


@contextmanager
def served() -> Iterator[None]:
    """Gunicorn as in the tiers, with one worker: wrk takes the other processor."""
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
    with served():
        rounds = [
            {name: requests_per_second(path, token) for name, path in addresses.items()} for _ in range(ROUNDS + 1)
        ]
    rates = {name: median(one[name] for one in rounds[1:]) for name in addresses}  # the first round warms up
    print(f"\n{'through Gunicorn, requests/s':32}{'':8}{f'wrk, {CLIENTS} clients, median of {ROUNDS} rounds'}")
    for name, rate in rates.items():
        times = rates["list, cached"] / rate
        bar = verdict(times, 8, least=True) if "DRF" in name else f"{times:.1f}"
        print(f"{name:32}{rate:>8,.0f}  our cached list is {bar} times as fast")


def token_of(user: Any) -> str:
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
    token = token_of(User.objects.create_superuser("bench@example.com"))
    fill_up(FEW)
    small = sized(token)
    fill_up(CUSTOMERS - FEW)
    print(f"{CUSTOMERS:,} customers")
    print_costs(token)
    print_queries(token)
    print_sizes(small, sized(token))
    print_peers(token)


if __name__ == "__main__":
    main()

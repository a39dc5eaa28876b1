"""What the history costs: each write with and without its triggers, in turn, in one run.

python -m bench.history; in a database of its own, which is dropped at the end.
"""

import gc
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from urllib.parse import urlencode

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402 - models need the set-up
from django.test import Client  # noqa: E402

from bench.measurements import check_bar, own_database  # noqa: E402
from core_apps.accounts.models import ApiToken, User  # noqa: E402
from customers.importing import CUSTOMERS, Options, import_file  # noqa: E402
from customers.models import Customer  # noqa: E402

LARGEST = 1.3
ROWS, REQUESTS, ROUNDS = 5_000, 50, 7
TRIGGERS = """
    SELECT format('ALTER TABLE %%s %s TRIGGER %%I', tgrelid::regclass, tgname)
    FROM pg_trigger WHERE tgname IN ('history_insert', 'history_update', 'history_delete')
"""


def switch(state: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS % state)
        for (statement,) in cursor.fetchall():
            cursor.execute(statement)


def write_file(path: Path, phone: int) -> Path:
    rows = (f"Given,Family {n},person.{n}@example.com,+49 30 {phone + n},Buyer,DE" for n in range(ROWS))
    path.write_text("\n".join(("given_name,family_name,email,phone,job_title,country", *rows)), encoding="utf-8")
    return path


def measure(before: Callable[[], object], work: Callable[[], object]) -> float:
    """Return how many times as long the work takes with the history; `before` each is not timed."""
    found: dict[str, list[float]] = {"DISABLE": [], "ENABLE": []}
    for _ in range(ROUNDS):
        for state, times in found.items():
            switch(state)
            before()
            gc.collect()
            started = perf_counter()
            work()
            times.append(perf_counter() - started)
    without, with_history = (1000 * median(found[state]) for state in ("DISABLE", "ENABLE"))
    print(f"{without:>12.1f}{with_history:>12.1f}", end="  ", flush=True)
    return with_history / without


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def empty() -> None:
    execute("TRUNCATE customers_customer CASCADE", "VACUUM ANALYZE customers_customer", "CHECKPOINT")


def vacuum() -> None:
    execute("VACUUM ANALYZE customers_customer", "VACUUM history_rowchange", "CHECKPOINT")


def send(client: Client, method: str, path: str, body: object, kind: str, expected: int) -> None:
    response = client.generic(method, path, body if isinstance(body, str) else json.dumps(body), kind, secure=True)
    if response.status_code != expected:
        raise SystemExit(f"{method} {path} was refused with {response.status_code}.")


def build_cases(directory: Path) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    new, changed = (write_file(directory / f"{phone}.csv", phone) for phone in (10_000_000, 20_000_000))
    files = cycle([changed, new])
    yield f"import of {ROWS:,} new rows", empty, lambda: import_file(new, CUSTOMERS, Options())
    yield f"import that changes {ROWS:,} rows", vacuum, lambda: import_file(next(files), CUSTOMERS, Options())

    alice, bob = (User.objects.create_superuser(f"{name}@example.com") for name in ("alice", "bob"))
    admins = cycle([log_in(alice), log_in(bob)])
    some = Customer.objects.order_by("pk")
    Customer.objects.filter(pk__in=list(some.values_list("pk", flat=True)[:1_000])).update(stage="prospect")
    chosen = urlencode({"action": "assign_to_me", "select_across": "1", "_selected_action": "0"})
    page, form = "/admin/customers/customer/?stage__exact=prospect", "application/x-www-form-urlencoded"
    yield "bulk action on 1,000 rows", vacuum, lambda: send(next(admins), "POST", page, chosen, form, 302)

    _token, plain = ApiToken.objects.create_token(alice, timedelta(days=1), name="bench", scopes=["read", "write"])
    api = Client(headers={"Authorization": f"Token {plain}"}, SERVER_NAME="localhost")
    path, numbers = "/api/v1/customers/", count()
    one = f"{path}{some[0].public_id}/"

    def patch() -> None:
        for number in islice(numbers, REQUESTS):
            send(api, "PATCH", one, {"job_title": f"Buyer {number}"}, "application/json", 200)

    def post() -> None:
        for number in islice(numbers, REQUESTS):
            send(api, "POST", path, {"family_name": f"Family {number}"}, "application/json", 201)

    yield f"API: {REQUESTS} PATCH of a customer", vacuum, patch
    yield f"API: {REQUESTS} POST of a customer", vacuum, post


def log_in(user: User) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return client


def main() -> None:
    settings.API_RATE_PER_TOKEN = 1_000_000
    with own_database(), TemporaryDirectory() as directory:
        print(f"{'median in ms':36}{'without':>12}{'with':>12}  ratio")
        for title, before, work in build_cases(Path(directory)):
            print(f"{title:36}", end="", flush=True)
            print(check_bar(measure(before, work), LARGEST), flush=True)


if __name__ == "__main__":
    main()

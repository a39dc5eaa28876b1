"""Every list, search, filter, page, sorting and form of the admin beside Django's own on the same tables, in one run.

CUSTOMERS=1000000 python -m bench.admin; in a database of its own, which is dropped at the end.
"""

import gc
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402 - models need the set-up
from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count, Model  # noqa: E402
from django.test import Client, RequestFactory  # noqa: E402
from django.utils.http import urlencode  # noqa: E402

from bench import stock_admin  # noqa: E402
from bench.fill import fill  # noqa: E402
from bench.measurements import measure_undisturbed, own_database  # noqa: E402
from core_apps.accounts.models import User  # noqa: E402
from core_apps.big_lists.pagination import AFTER, Keyset  # noqa: E402
from customers.models import Company, Customer, Exhibition, FollowUp, Visit  # noqa: E402

CUSTOMERS = int(os.environ.get("CUSTOMERS") or 200_000)
REQUESTS, STOCK_SECONDS = 20, 4
SLOW_MS, LEAST_RATIO = 500, 10
PLACES = {"ours": "admin", "stock": "stock"}
BIG = (Customer, Visit, FollowUp, Company, Exhibition)


@dataclass
class Case:
    """Addresses below /admin/ and /stock/, requested in turn; blank if the stock admin has no such page."""

    name: str
    ours: list[str]
    stock: list[str]
    client: Client


def clients() -> tuple[Client, Client]:
    """Return clients of an administrator and of stand staff of the three largest exhibitions."""
    boss, _ = User.objects.get_or_create(
        email="boss@example.com", defaults={"is_staff": True, "is_superuser": True, "password": "!"}
    )
    staff, _ = User.objects.get_or_create(email="stand@example.com", defaults={"is_staff": True, "password": "!"})
    staff.groups.set(Group.objects.filter(name="Stand staff"))
    staff.exhibitions.set(Exhibition.objects.annotate(count=Count("visits")).order_by("-count", "pk")[:3])
    found = Client(SERVER_NAME="localhost"), Client(SERVER_NAME="localhost")
    for client, user in zip(found, (boss, staff), strict=True):
        client.force_login(user)
    return found


def page_of(model: type[Model], what: str = "changelist", **query: Any) -> str:
    path = f"customers/{model._meta.model_name}/"
    return path + (f"?{urlencode(query)}" if query else "")


def both(name: str, addresses: str | list[str], client: Client, *, stock: bool = True) -> Case:
    addresses = [addresses] if isinstance(addresses, str) else addresses
    return Case(name, addresses, addresses if stock else [], client)


def cases() -> Iterator[Case]:
    boss, staff = clients()
    yield Case("dashboard", [""], [""], boss)
    for model in BIG:
        yield from list_cases(model, boss)
    yield from search_cases(boss)
    yield from form_cases(boss)
    yield from autocomplete_cases(boss)
    for model in (Customer, Visit, FollowUp):
        name = f"{model._meta.verbose_name_plural}, stand staff"
        yield both(name, page_of(model), staff, stock=False)
        yield both(f"{name}, search", [page_of(model, q=word) for word in ("nordlys", "an")], staff, stock=False)


def list_cases(model: Any, client: Client) -> Iterator[Case]:
    ours, name = admin.site.get_model_admin(model), str(model._meta.verbose_name_plural)
    request = RequestFactory().get("/")
    request.user = User.objects.get(email="boss@example.com")
    changes = ours.get_changelist_instance(request)
    yield both(name, page_of(model), client)
    for column, ordering in ours.list_sorting.items():
        number = changes.list_display.index(column)
        twin = stock_admin.column(ours, model, column)
        stock_number = 1 + list(stock_admin.site.get_model_admin(model).list_display).index(twin)
        yield Case(
            f"{name} by {column}",
            [page_of(model, o=f"{sign}{number}") for sign in ("", "-")],
            [page_of(model, o=f"{sign}{stock_number}") for sign in ("", "-")],
            client,
        )
        yield deep_page(f"{name} by {column}, half-way", model, ordering, (number, stock_number), client)
    yield both(f"{name}, last page", page_of(model, p="last"), client, stock=False)
    for spec in changes.filter_specs:
        choices = [choice["query_string"] for choice in spec.choices(changes)][:12]
        is_stock = hasattr(spec, "field")
        yield both(f"{name}, filter {spec.title}", [page_of(model) + one for one in choices], client, stock=is_stock)


def deep_page(name: str, model: Any, ordering: Any, numbers: tuple[int, int], client: Client) -> Case:
    half, sign = model.objects.count() // 2, "-" if ordering[0].startswith("-") else ""
    row = model.objects.order_by(*ordering)[half]
    cursor = Keyset(model.objects.all(), list(ordering), 50, lambda rows: rows).cursor(AFTER, row)
    ours, stock = numbers
    return Case(
        name,
        [page_of(model, o=f"{sign}{ours}", p=cursor)],
        [page_of(model, o=f"{sign}{stock}", p=1 + half // 50)],
        client,
    )


def search_cases(client: Client) -> Iterator[Case]:
    person = Customer.objects.exclude(phone="").exclude(email="").exclude(company=None).filter(country="DE")
    middle = person.select_related("company").order_by("pk")[person.count() // 2]
    company, trade, number, *_ = middle.company.name.split()  # type: ignore[union-attr]
    words = [middle.family_name, middle.given_name, company, trade]
    searches = {
        **{f"{count} words": [" ".join(words[:count])] for count in range(1, 5)},
        "common words": ["nordlys", "gmbh", "example"],
        "words that exclude each other": ["gmbh ltd", "nordlys fjord robotics solar"],
        "1 letter": ["a", "ж"],
        "2 letters": ["an", "qx"],
        "phone": [middle.phone, middle.phone_e164, f"0{middle.phone_e164[3:]}", middle.phone_e164[5:11]],
        "e-mail": [middle.email, middle.email.partition("@")[0][3:]],
        "no hit": ["zzyzx", "nordlys zzyzx"],
        "number of the company": [number],
    }
    for model in (Customer, Visit, FollowUp):
        for name, texts in searches.items():
            addresses = [page_of(model, q=text) for text in texts]
            yield both(f"{model._meta.verbose_name_plural}, search {name}", addresses, client, stock=model is Customer)
    texts = [company, f"{company} {trade}", "an", number, "zzyzx"]
    yield both("companies, search", [page_of(Company, q=text) for text in texts], client)


def form_cases(client: Client) -> Iterator[Case]:
    for model in BIG:
        row = model.objects.order_by("pk")[model.objects.count() // 2]
        # Where the foreign key's <select> is, and another where there is none.
        yield both(f"{model._meta.verbose_name} form", f"{page_of(model)}{row.pk}/change/", client)
    exhibition = Exhibition.objects.annotate(count=Count("visits")).order_by("-count")[0]
    yield both("exhibition, delete", f"{page_of(Exhibition)}{exhibition.pk}/delete/", client)
    company = Company.objects.order_by("pk")[0]
    yield both("company, delete", f"{page_of(Company)}{company.pk}/delete/", client)


def autocomplete_cases(client: Client) -> Iterator[Case]:
    for model, field in ((Customer, "company"), (Visit, "customer"), (Visit, "exhibition"), (FollowUp, "visit")):
        query = {"app_label": "customers", "model_name": model._meta.model_name, "field_name": field}
        terms = ("", "nordlys", "an", "nordlys robotics", "zzyzx")
        addresses = ["autocomplete/?" + urlencode(query | {"term": term}) for term in terms]
        yield both(f"autocomplete of a {model._meta.verbose_name}'s {field}", addresses, client)


def compute_milliseconds(client: Client, address: str) -> float:
    start = perf_counter()
    response = client.get(address)
    taken = 1000 * (perf_counter() - start)
    if response.status_code != 200:
        raise SystemExit(f"{address} answered {response.status_code}")
    return taken


def p95(times: list[float]) -> float:
    return sorted(times)[max(0, round(0.95 * len(times)) - 1)]


def measure(case: Case, places: Iterable[str]) -> dict[str, tuple[float, int]]:
    """By place: the 95th percentile in milliseconds, and of how many requests; asked in turn, once to warm up.

    Of stock no address is asked again when they have taken STOCK_SECONDS; the first answers count then.
    """
    urls = {place: build_addresses(case, place) for place in places if getattr(case, place)}
    first = {
        place: [compute_milliseconds(case.client, address) for address in addresses]
        for place, addresses in urls.items()
    }
    times: dict[str, list[float]] = {place: [] for place in urls}
    spent = {place: sum(taken) / 1000 for place, taken in first.items()}
    gc.collect()
    for number in range(max(REQUESTS, len(case.ours))):
        for place, addresses in urls.items():
            if place == "ours" or spent[place] < STOCK_SECONDS:
                times[place].append(compute_milliseconds(case.client, addresses[number % len(addresses)]))
                spent[place] += times[place][-1] / 1000
    for place, taken in times.items():
        taken += first[place] if len(taken) < len(urls[place]) else []
    return {place: (p95(taken), len(taken)) for place, taken in times.items()}


def build_addresses(case: Case, place: str) -> list[str]:
    return [f"/{PLACES[place]}/{address}" for address in getattr(case, place)]


def print_pages() -> None:
    print(f"\np95 in ms of {REQUESTS} requests, warm; of stock fewer when they have taken {STOCK_SECONDS} s")
    print(f"{'':50}{'ours':>9}{'bar':>6}{'stock':>9}{'(n)':>5}{'x':>6}")
    missed: list[str] = []
    for case in cases():
        found = measure_undisturbed(partial(measure, case, ["ours", "stock"]))
        ours, (stock, count) = found["ours"][0], found.get("stock", (0, 0))
        bar = get_bar(case)
        met = {
            f"<= {bar} ms": ours <= bar,
            f"x >= {LEAST_RATIO}": stock <= SLOW_MS or stock >= LEAST_RATIO * ours,
        }
        bad = [bar for bar, is_met in met.items() if not is_met]
        missed += bad
        beside = f"{stock:9.0f}{f'({count})':>5}{stock / ours:6.1f}" if count else ""
        verdict = "MISSED " + ", ".join(bad) if bad else ""
        print(f"{case.name:50}{ours:9.1f}{bar:6}{beside:20}  {verdict}".rstrip(), flush=True)
    print(f"{len(missed)} bars missed" if missed else "all bars met")


def get_bar(case: Case) -> int:
    """Return the bar in milliseconds."""
    if "stand staff" in case.name:
        return 300
    return 200 if "search" in case.name or "autocomplete" in case.name else 100


def fill_up(customers: int) -> None:
    start = perf_counter()
    rows = fill(customers)
    taken = perf_counter() - start
    print(f"filled with {rows:,} rows in {taken:.0f} s: {rows / taken:,.0f} a second", flush=True)
    # What autovacuum does within minutes: index-only scans need it.
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def prepare() -> None:
    logging.disable(logging.WARNING)
    settings.ROOT_URLCONF = "bench.stock_admin"
    storage = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": storage}
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    # Stock takes longer than a request may.
    connection.settings_dict["OPTIONS"]["options"] += " -c statement_timeout=600s"


def main() -> None:
    prepare()
    with own_database():
        for number in range(10):
            User.objects.create(email=f"person{number}@example.com", name=f"Person {number}", is_staff=True)
        fill_up(CUSTOMERS)
        print_pages()


if __name__ == "__main__":
    main()

"""At 200,000 customers no admin page scans a big table; and the number of queries of each list."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.db.models import Count
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bench.fill import fill
from core_apps.accounts.models import User
from core_apps.big_lists.admin import BigTableAdmin
from customers.models import Company, Customer, Exhibition, FollowUp, Visit

CUSTOMERS = 200_000
BIG = ("customers_customer", "customers_company", "customers_visit", "customers_followup", "customers_customer_tags")
RELATION = {Visit: "pk", Company: "customer__company", Exhibition: "exhibition"}
ADMINS = [one for one in admin.site._registry.values() if isinstance(one, BigTableAdmin)]
NAMES = [one.opts.model_name for one in ADMINS]


@pytest.fixture(scope="module")
def filled(django_db_setup, django_db_blocker) -> Iterator[User]:
    """Two hundred thousand customers, until the module's transaction is rolled back; and who may see all."""
    with django_db_blocker.unblock(), transaction.atomic():
        boss = User.objects.create_superuser("boss@example.com")
        fill(CUSTOMERS)
        yield boss
        transaction.set_rollback(True)


def address(model: Any, what: str = "changelist", *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{what}", args=arguments)


def requests_of_lists(client: Any) -> Iterator[str]:
    for model_admin in ADMINS:
        page = address(model_admin.model)
        changes = client.get(page, secure=True).context["cl"]
        yield from (page, f"{page}?p=last", page + changes.page_address(changes.page.next or ""))
        numbers = [number for number, name in enumerate(changes.list_display) if name in model_admin.list_sorting]
        yield from (f"{page}?o={sign}{number}" for number in numbers for sign in ("", "-"))
        for spec in changes.filter_specs:
            yield from (page + choice["query_string"] for choice in list(spec.choices(changes))[:6])


def requests_of_searches() -> Iterator[str]:
    for model in (Customer, Visit, FollowUp, Company):
        for words in ("petra", "nordlys robotics", "gmbh ltd", "a", "an", "ж", "+49 30 12", "petra.brandt", "zzyzx"):
            yield f"{address(model)}?q={words.replace('+', '%2B')}"


def requests_of_leads() -> Iterator[str]:
    """Filters together, and one that nothing passes."""
    largest = Exhibition.objects.alias(count=Count("visits")).order_by("-count", "pk")[0].pk
    colleague = User.objects.exclude(customers=None).order_by("pk")[0].pk
    for model in (Customer, Visit):
        for query in ("grade=A", "owned=me", f"owned={colleague}", f"exhibition={largest}", "grade=A&owned=nobody"):
            yield from (f"{address(model)}?{query}&contacted={answer}" for answer in ("no", "yes"))
        api = reverse(f"{model._meta.model_name}-list")
        yield from (f"{api}?grade=A&contacted={answer}" for answer in ("true", "false"))
        yield f"{api}?owner=boss@example.com&contacted=false"
    for text in ("petra.brandt@example.com", "+49 30 901820", "Petra Brandt Nordlys Robotics", "an"):
        yield f"{reverse('api_capture_customers')}?{urlencode({'search': text})}"


def requests_of_autocompletes() -> Iterator[str]:
    for model, field in (
        ("customer", "company"),
        ("visit", "customer"),
        ("followup", "visit"),
        ("visit", "exhibition"),
    ):
        for term in ("", "an", "nordlys"):
            query = f"app_label=customers&model_name={model}&field_name={field}&term={term}"
            yield f"{reverse('admin:autocomplete')}?{query}"
    customer = Visit.objects.order_by("-pk")[0].customer_id
    query = f"app_label=customers&model_name=followup&field_name=visit&term=&customer__id__exact={customer}"
    yield f"{reverse('admin:autocomplete')}?{query}"


def requests_of_forms() -> Iterator[str]:
    for model in (Customer, Visit, FollowUp, Company, Exhibition):
        row = model.objects.order_by("-pk")[0]
        yield from (address(model, "change", row.pk), address(model, "history", row.pk), address(model, "add"))
    for model in (Visit, Company, Exhibition):
        yield address(model, "delete", Visit.objects.values_list(RELATION[model], flat=True).order_by("-pk")[0])
    yield reverse("admin:index")


def scans(client: Any, page: str) -> set[str]:
    """Tables that a request reads from end to end, each with the query that does."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(page, secure=True).status_code == 200, page
    return {f"{page}: {table}: {sql}" for sql, tables in plans(queries) for table in tables if table in BIG}


# Nearly every customer is current, so that a count of them ends soon.
ENDS_SOON = '"archived_at" IS NULL LIMIT 10001'


def plans(queries: Any) -> Iterator[tuple[str, list[str]]]:
    """Each query, and the tables that it reads from end to end with the settings that it was asked under."""
    with connection.cursor() as cursor:
        for sql in [query["sql"] for query in queries]:
            if sql.startswith("SET LOCAL"):
                cursor.execute(sql)
            elif sql.startswith("SELECT") and ENDS_SOON not in sql:
                cursor.execute(f"EXPLAIN {sql}")
                yield sql, re.findall(r"Seq Scan on (\w+)", "\n".join(line for (line,) in cursor.fetchall()))


@pytest.fixture(params=[0, 1, 3])
def worker(request, filled, member_of) -> User:
    """Of the stand at so many of the exhibitions with the most visits; nobody's owner."""
    largest = Exhibition.objects.annotate(count=Count("visits")).order_by("-count", "pk")
    return member_of("Stand staff", *largest[: request.param])  # type: ignore[no-any-return]


@pytest.mark.django_db
def test_no_page_of_stand_staff_reads_a_big_table_from_end_to_end(worker, client_of):
    client = client_of(worker)
    lists = [address(model) for model in (Customer, Visit, FollowUp)]
    pages = [*lists, *(f"{one}?p=last" for one in lists), f"{lists[2]}?state=all", reverse("admin:index")]
    pages += [*(page for page in requests_of_searches() if "company" not in page), *requests_of_leads()]

    assert {scan for page in pages for scan in scans(client, page)} == set()


@pytest.mark.django_db
def test_no_page_reads_a_big_table_from_end_to_end(filled, client_of):
    client = client_of(filled)
    pages = [*requests_of_lists(client), *requests_of_leads(), *requests_of_searches()]
    pages += [*requests_of_autocompletes(), *requests_of_forms()]

    assert {scan for page in pages for scan in scans(client, page)} == set()
    assert len(pages) > 150

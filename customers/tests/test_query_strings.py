"""Nonsense in the query strings of the admin, which no page may answer with a server error."""

from itertools import cycle, islice, product
from random import Random

import pytest
from django.contrib.admin import site
from django.db.models import Model
from django.urls import reverse

from customers.models import Customer
from customers.tests.factories import make_customer

PARTS, PART_SIZE = 6, 700
VALUES = (
    *(
        "",
        " ",
        "x",
        "%00",
        "1%00",
        "-1",
        "0",
        "1.5",
        "9" * 20,
        "9" * 5000,
        "%D9%A3",
        "%C2%B2",
        "null",
        "None",
        "'",
        '"',
    ),
    *("%25", "[", "]", "%5B1%5D", "%7B%7D", "%FF%FE", "%ED%A0%80", "../..", "1,2,x", ",", "2026-11-29", "9999-12-31"),
    *("2026-11-29%2025:00", "0000-00-00", "true", "me", "a.b.c", "-", "-.-1", "1.-1", "__", "in", "on"),
)
PARAMETERS = (
    *(
        "q",
        "o",
        "p",
        "all",
        "e",
        "_popup",
        "_to_field",
        "_changelist_filters",
        "_facets",
        "next",
        "app_label",
        "model_name",
    ),
    *("field_name", "term", "exhibition", "customer", "company", "owner", "assignee", "tags", "visit", "captured_by"),
    *("stage", "grade", "due_at", "visited_at", "due_at_0", "starts_on", "time_zone", "photo", "id", "pk", "id__exact"),
    *(
        "id__in",
        "customer__id__exact",
        "company__id__exact",
        "company__id__isnull",
        "visited_at__gte",
        "archived",
        "state",
    ),
    *(
        "starts_on__year",
        "tag",
        "industry",
        "priority",
        "channel",
        "nothing",
        "stage__exact",
        "visited_at__lt",
        "%00",
        "a[]",
    ),
)


def list_pages(rows: dict[str, Model]) -> list[str]:
    names = ("index", "capture", "login", "password_change", "autocomplete")
    pages = [*map(reverse, (f"admin:{name}" for name in names)), "/admin/nothing/"]
    pages += [reverse("admin_password_reset"), reverse("api_capture_customers")]
    for model in site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages += [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
    for row in rows.values():
        name = f"admin:customers_{row._meta.model_name}"
        pages += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history", "delete")]
    return pages


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.full) for part in range(1, PARTS))])
def test_no_query_string_is_a_server_error(part, alice, client_of, rows):
    client = client_of(alice)
    client.raise_request_exception = False
    random = Random(part)  # the same strings in each run
    strings = [f"{name}={value}" for name, value in product(PARAMETERS, VALUES)]
    pages = list_pages(rows)
    random.shuffle(pages)
    random.shuffle(strings)

    urls = [f"{page}?{string}" for page, string in islice(zip(cycle(pages), cycle(strings)), PART_SIZE)]

    assert [url[:90] for url in urls if client.get(url, secure=True).status_code >= 500] == []


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("due_at=2026-11-29T16:35", ("2026-11-29", "16:35:00")),
        ("due_at=2026-11-29 16:35", ("2026-11-29", "16:35:00")),
        ("due_at=2026-11-29", ("2026-11-29", "00:00:00")),
    ],
)
def test_link_presets_a_date(query, shown, alice, client_of):
    response = client_of(alice).get(f"{reverse('admin:customers_followup_add')}?{query}", secure=True)

    moment = response.context["adminform"].form.initial["due_at"]
    assert (f"{moment:%Y-%m-%d}", f"{moment:%H:%M:%S}") == shown


def test_link_presets_a_row_that_exists(alice, client_of):
    customer, add = make_customer(), reverse("admin:customers_followup_add")

    for query, expected in ((customer.pk, customer.pk), (0, None), ("x", None)):
        form = client_of(alice).get(f"{add}?customer={query}", secure=True).context["adminform"].form
        assert form.initial.get("customer") == expected
    assert Customer.objects.get() == customer


def test_filter_with_a_nul_shows_the_whole_list(alice, client_of):
    response = client_of(alice).get(f"{reverse('admin:customers_visit_changelist')}?grade=%00", secure=True)

    assert (response.status_code, response["Location"]) == (302, "/admin/customers/visit/?e=1")

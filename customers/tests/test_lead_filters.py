"""Customers and visits by grade, exhibition, owner and contact, in the admin and in the API."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse

from customers.models import Customer, Exhibition
from customers.tests.api import caller_of
from customers.tests.factories import make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db
LAST_YEAR, NOW = datetime(2025, 3, 11, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC)


@pytest.fixture
def fairs() -> dict[str, Exhibition]:
    return {"old": make_exhibition(edition="2025"), "new": make_exhibition(edition="2026")}


@pytest.fixture
def leads(fairs, alice, bob) -> None:
    """Ada was contacted after both visits, Ben after the first of two, Cleo never; Dan had no visit."""
    ada, ben, cleo, dan = (
        make_customer(given_name=name, family_name="", email=f"{name}@x.example", owner=owner)
        for name, owner in (("Ada", alice), ("Ben", bob), ("Cleo", None), ("Dan", alice))
    )
    for customer, grades in ((ada, "AB"), (ben, "BA")):
        for fair, grade, moment in zip(fairs.values(), grades, (LAST_YEAR, NOW), strict=True):
            make_visit(customer=customer, exhibition=fair, grade=grade, visited_at=moment)
    make_visit(customer=cleo, exhibition=fairs["new"], grade="", visited_at=NOW)
    make_follow_up(customer=ada, completed_at=NOW)  # names no visit
    make_follow_up(customer=ben, completed_at=datetime(2025, 3, 12, tzinfo=UTC))
    for customer in (cleo, dan):
        make_follow_up(customer=customer)


def names(customers: Any) -> list[str]:
    return sorted(customer.given_name for customer in customers)


def list_rows(client: Any, model: str, query: str) -> Any:
    response = client.get(f"{reverse(f'admin:customers_{model}_changelist')}?{query}", secure=True)
    return response.context["cl"].result_list


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize(
    ("query", "customers", "visits"),
    [
        ("grade=A", ["Ada", "Ben"], ["Ada", "Ben"]),
        ("grade=none", ["Cleo"], ["Cleo"]),
        ("grade=Z", ["Ada", "Ben", "Cleo", "Dan"], ["Ada", "Ada", "Ben", "Ben", "Cleo"]),
        ("exhibition={old}", ["Ada", "Ben"], ["Ada", "Ben"]),
        ("grade=A&exhibition={old}", ["Ada"], ["Ada"]),
        ("contacted=no", ["Ben", "Cleo"], ["Ben", "Cleo"]),
        ("contacted=yes", ["Ada", "Ben"], ["Ada", "Ada", "Ben"]),
        ("contacted=no&exhibition={old}", [], []),
        ("contacted=no&exhibition={new}&grade=A", ["Ben"], ["Ben"]),
        ("owned=me", ["Ada", "Dan"], ["Ada", "Ada"]),
        ("owned=nobody", ["Cleo"], ["Cleo"]),
        ("owned={bob}", ["Ben"], ["Ben", "Ben"]),
        ("owned={bob}&contacted=no", ["Ben"], ["Ben"]),
    ],
)
def test_leads_are_found_in_the_admin(query, customers, visits, fairs, alice, bob, client_of):
    client = client_of(alice)
    query = query.format(bob=bob.pk, **{name: fair.pk for name, fair in fairs.items()})

    assert names(list_rows(client, "customer", query)) == customers
    assert names(visit.customer for visit in list_rows(client, "visit", query)) == visits


@pytest.mark.usefixtures("leads")
@pytest.mark.parametrize(
    ("query", "customers", "visits"),
    [
        ("grade=A", ["Ada", "Ben"], ["Ada", "Ben"]),
        ("grade=A&exhibition={old}", ["Ada"], ["Ada"]),
        ("contacted=false", ["Ben", "Cleo"], ["Ben", "Cleo"]),
        ("contacted=true", ["Ada", "Ben"], ["Ada", "Ada", "Ben"]),
        ("contacted=false&exhibition={old}", [], []),
        ("contacted=false&exhibition={new}&grade=A", ["Ben"], ["Ben"]),
        ("owner=bob@example.com", ["Ben"], ["Ben", "Ben"]),
    ],
)
def test_leads_are_found_by_the_api(query, customers, visits, fairs, alice):
    query = query.format(**{name: fair.public_id for name, fair in fairs.items()})

    def list_names(kind: str, field: str) -> list[str]:
        rows = caller_of(alice).get(f"{reverse(f'{kind}-list')}?{query}").json()["results"]
        return sorted(row[field] for row in rows)

    assert list_names("customer", "full_name") == customers
    assert list_names("visit", "customer_name") == visits


@pytest.mark.parametrize("query", ["grade=Z", "contacted=no"])
@pytest.mark.parametrize("kind", ["customer", "visit"])
def test_unknown_value_is_refused_by_the_api(kind, query, alice):
    response = caller_of(alice).get(f"{reverse(f'{kind}-list')}?{query}")

    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [query.partition("=")[0]]


@pytest.mark.usefixtures("leads")
def test_grade_of_a_visit_at_another_stand_finds_nobody(fairs, member_of, client_of):
    person = member_of("Stand staff", fairs["new"])

    assert names(list_rows(client_of(person), "customer", "grade=A")) == ["Ben"]
    rows = caller_of(person).get(f"{reverse('customer-list')}?grade=A").json()["results"]
    assert [row["full_name"] for row in rows] == ["Ben"]
    assert Customer.objects.visible_to(person).filter(given_name="Ada").exists()

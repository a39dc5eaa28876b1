"""The number of queries of each API response, for any role and any number of rows."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core_apps.accounts.models import ApiToken
from customers.models import Tag
from customers.tests.api import Caller
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

KINDS = ("companies", "customers", "exhibitions", "follow-ups", "tags", "visits")


@pytest.fixture
def exhibition():
    return make_exhibition()


def add_rows(exhibition, number: int) -> None:
    for text in map(str, range(number)):
        company = make_company(name=text, domain=f"c{text}.example")
        customer = make_customer(email=f"{text}@example.com", company=company)
        tag = Tag.objects.create(name=text)
        customer.tags.add(tag)
        visit = make_visit(customer=customer, exhibition=exhibition)
        make_follow_up(visit=visit)


def caller_with_token(user) -> Caller:
    _token, plain = ApiToken.objects.create_token(user, timedelta(days=1), name="A", scopes=["read"])
    caller = Caller(headers={"Authorization": f"Token {plain}"})
    caller.get("/api/v1/tags/")  # notes when the token was used
    return caller


def queries_of(caller: Caller, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert caller.get(address).status_code == 200
    return len(queries)


@pytest.mark.parametrize("role", ["Manager", "Stand staff"])
@pytest.mark.parametrize("rows", [1, 3, 60])
def test_queries_of_lists_and_rows_are_few(member_of, exhibition, role, rows):
    add_rows(exhibition, rows)
    caller = caller_with_token(member_of(role, exhibition))

    lists = {kind: queries_of(caller, f"/api/v1/{kind}/") for kind in KINDS}
    ones = {kind: caller.get(f"/api/v1/{kind}/").json()["results"][0]["id"] for kind in KINDS}
    details = {kind: queries_of(caller, f"/api/v1/{kind}/{one}/") for kind, one in ones.items()}
    assert max(lists.values()) <= 4
    assert max(details.values()) <= 5


@pytest.mark.parametrize("role", ["Manager", "Stand staff"])
@pytest.mark.parametrize("rows", [1, 3, 60])
def test_queries_of_leads_and_suggestions_are_few(member_of, exhibition, role, rows):
    add_rows(exhibition, rows)
    caller, fair = caller_with_token(member_of(role, exhibition)), exhibition.public_id

    lists = [
        queries_of(caller, f"/api/v1/{query}")
        for query in (
            f"customers/?grade=A&contacted=false&exhibition={fair}",
            f"visits/?grade=A&contacted=false&exhibition={fair}&owner=nobody@example.com",
        )
    ]
    suggestions = queries_of(caller, "/api/v1/visits/capture/customers/?search=Ingrid Haugen")
    assert max(lists) <= 4
    assert suggestions <= 7

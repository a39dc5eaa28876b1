"""Pagination of the API: following the pages returns each row once."""

import pytest

from customers.models import Customer, Tag
from customers.tests.api import Caller, caller_of, errors
from customers.tests.factories import make_customer

pytestmark = pytest.mark.django_db

TAGS, CUSTOMERS = "/api/v1/tags/", "/api/v1/customers/"


@pytest.fixture
def caller(alice) -> Caller:
    return caller_of(alice)


@pytest.fixture
def letters(db) -> list[str]:
    letters = list("abcdefghij")
    for letter in reversed(letters):
        Tag.objects.create(name=letter)
    return letters


def walk(caller: Caller, address: str | None, direction: str = "next") -> list[list[str]]:
    """The pages from there on, each as the names on it."""
    pages = []
    while address:
        body = caller.get(address).json()
        pages.append([row["name"] for row in body["results"]])
        address = body[direction]
    return pages


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("page_size=4", ["abcd", "efgh", "ij"]),
        ("page_size=5", ["abcde", "fghij"]),
        ("page_size=4&ordering=-name", ["jihg", "fedc", "ba"]),
        ("", ["abcdefghij"]),
    ],
)
def test_pages_that_are_followed_have_each_row_once(caller, letters, query, expected):
    assert walk(caller, f"{TAGS}?{query}") == [list(page) for page in expected]


def test_pages_can_be_followed_back(caller, letters):
    last = caller.get(caller.get(caller.get(f"{TAGS}?page_size=4").json()["next"]).json()["next"]).json()

    assert [row["name"] for row in last["results"]] == ["i", "j"]
    assert walk(caller, last["previous"], "previous") == [list("efgh"), list("abcd")]


def test_narrowed_pages_stay_narrowed(caller):
    for number in range(5):
        make_customer(family_name="Haugen", email=f"{number}@example.com")
        make_customer(given_name="Marta", family_name="Solberg", email=f"m{number}@nordlys.example")

    address, found = f"{CUSTOMERS}?search=haugen&page_size=2&fields=family_name", []
    while address:
        body = caller.get(address).json()
        found += body["results"]
        address = body["next"]

    assert found == [{"family_name": "Haugen"}] * 5


def test_row_deleted_between_pages_hides_no_other(caller, letters):
    following = caller.get(f"{TAGS}?page_size=4").json()["next"]
    Tag.objects.filter(name__in="bd").delete()
    Tag.objects.create(name="aa")

    assert walk(caller, following) == [list("efgh"), list("ij")]


def test_page_behind_the_last_row_is_empty(caller, letters):
    """And not the first one again, which a program would follow for ever."""
    following = caller.get(f"{TAGS}?page_size=8").json()["next"]
    Tag.objects.filter(name__in="ij").delete()

    body = caller.get(following).json()

    assert (body["results"], body["next"], body["previous"]) == ([], None, None)


@pytest.mark.parametrize("query", ["ordering=-name", "ordering=name&page_size=2"])
def test_cursor_belongs_to_its_order(caller, letters, query):
    cursor = caller.get(f"{TAGS}?page_size=2").json()["next"].partition("cursor=")[2].partition("&")[0]

    response = caller.get(f"{TAGS}?{query}&cursor={cursor}")

    is_other = query.startswith("ordering=-")
    assert response.status_code == (400 if is_other else 200)
    assert errors(response) == ([("cursor", "invalid")] if is_other else [])


def test_cursor_of_another_list_is_refused(caller, letters):
    cursor = caller.get(f"{TAGS}?page_size=2").json()["next"].partition("cursor=")[2].partition("&")[0]

    assert errors(caller.get(f"{CUSTOMERS}?cursor={cursor}")) == [("cursor", "invalid")]


@pytest.mark.parametrize("size", ["0", "101", "-1", "1.5", "x", "9" * 5000, "٣", ""])
def test_size_of_a_page_is_bounded(caller, size):
    response = caller.get(f"{TAGS}?page_size={size}")

    assert response.status_code == 400
    assert [field for field, _code in errors(response)] == ["page_size"]


def test_fifty_rows_are_a_page_and_hundred_at_most(caller):
    Tag.objects.bulk_create(Tag(name=f"{number:03}") for number in range(101))

    pages = [len(page) for query in ("", "?page_size=100") for page in walk(caller, f"{TAGS}{query}")]

    assert pages == [50, 50, 1, 100, 1]


def test_address_of_a_neighbour_keeps_the_rest_of_the_query(caller, letters):
    following = caller.get(f"{TAGS}?page_size=2&fields=id,name&ordering=-name").json()["next"]

    assert following.startswith("https://testserver/api/v1/tags/?")
    assert {"page_size=2", "ordering=-name"} <= set(following.partition("?")[2].split("&"))
    assert [row.keys() for row in caller.get(following).json()["results"]] == [{"id", "name"}] * 2


def test_row_of_another_persons_sight_is_on_no_page(member_of):
    make_customer()

    assert Customer.objects.count() == 1
    assert caller_of(member_of("Stand staff")).get(CUSTOMERS).json()["results"] == []

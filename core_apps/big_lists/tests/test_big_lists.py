"""The lists of BigTableAdmin, on the table of users; test_big_lists.py and test_query_plans.py are about ours."""

import re
from typing import Any

import pytest
from django.core.paginator import InvalidPage
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core_apps.accounts.models import User
from core_apps.big_lists import counts
from core_apps.big_lists.counts import CappedCount, Count, capped_count
from core_apps.big_lists.pagination import Keyset, SuggestionPaginator
from core_apps.big_lists.tests.user_list import LIST, page

pytestmark = [pytest.mark.django_db, pytest.mark.urls("core_apps.big_lists.tests.user_list")]


def emails(response: Any) -> list[str]:
    return [user.email for user in response.context["cl"].result_list]


def links(response: Any) -> dict[str, str]:
    return {name: LIST + address for name, address in response.context["cl"].get_page_links() if address}


def walk(browser: Any, address: str, direction: str) -> list[list[str]]:
    pages = []
    while address:
        response = page(browser, address)
        pages.append(emails(response))
        address = links(response).get(direction, "")
    return pages


# Pages.


@pytest.mark.parametrize(("query", "offered"), [("", False), ("?q=crowd", True), ("?is_active__exact=1", True)])
def test_way_back_to_all_is_offered_where_the_person_narrowed_the_list(query, offered, crowd, browser):
    response = page(browser, LIST + query)

    assert ('<a href="?">Show all</a>' in response.content.decode()) == offered


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("", lambda user: (-user.date_joined.timestamp(), -user.pk)),
        ("?o=3", lambda user: (user.date_joined.timestamp(), user.pk)),
        ("?o=-3", lambda user: (-user.date_joined.timestamp(), -user.pk)),
        ("?o=1", lambda user: user.email),
        ("?o=2", lambda user: (user.name, user.pk)),
        ("?o=2.1", lambda user: (user.name, user.pk)),
        ("?o=4", lambda user: (-user.date_joined.timestamp(), -user.pk)),  # not one to sort by
        ("?o=nonsense", lambda user: (-user.date_joined.timestamp(), -user.pk)),
        ("?o=99", lambda user: (-user.date_joined.timestamp(), -user.pk)),
    ],
)
def test_pages_hold_each_row_once_in_order(query, key, crowd, browser):
    expected = [user.email for user in sorted(crowd, key=key)]

    forward = walk(browser, LIST + query, "next")
    backward = walk(browser, links(page(browser, LIST + query))["last"], "previous")

    assert [email for one in forward for email in one] == expected
    assert [len(one) for one in forward] == [5, 5, 5, 1]
    assert backward[0] == expected[-5:]
    assert [email for one in backward[::-1] for email in one][-15:] == expected[-15:]
    assert backward[-1] == expected[:5]


def test_sorting_backwards_turns_the_order_round(crowd, browser):
    ahead = [email for one in walk(browser, LIST + "?o=2", "next") for email in one]

    assert [email for one in walk(browser, LIST + "?o=-2", "next") for email in one] == ahead[::-1]


def test_rows_that_come_and_go_move_no_others(crowd, browser):
    first = page(browser)
    before, expected = emails(first), [user.email for user in User.objects.order_by("-date_joined", "-pk")]
    User.objects.create_user("new@example.com")
    User.objects.get(email=before[-1]).delete()

    assert emails(page(browser, links(first)["next"])) == expected[5:10]


def test_page_reads_one_row_more_than_it_shows_and_leaves_none_out(crowd, browser):
    second = links(page(browser))["next"]

    with CaptureQueriesContext(connection) as queries:
        page(browser, second)

    (rows,) = [query["sql"] for query in queries if "LIMIT 6" in query["sql"]]
    assert 'date_joined", U0."id") < (' in rows
    assert not [query for query in queries if "OFFSET" in query["sql"]]


@pytest.mark.parametrize("cursor", ["nonsense", "", "2", "%00", "\ud83d", "after", "x" * 5000, "WyJhZnRlciJd:1vM:sig"])
def test_bad_cursor_is_the_first_page(cursor, crowd, browser):
    response = browser.get(LIST, {"p": cursor.encode(errors="replace")}, secure=True)

    assert emails(response) == emails(page(browser))


def test_cursor_of_another_order_is_the_first_page(crowd, browser):
    cursor = links(page(browser))["next"].partition("p=")[2]

    assert emails(page(browser, f"{LIST}?o=2&p={cursor}")) == emails(page(browser, f"{LIST}?o=2"))


def test_cursor_behind_the_last_row_is_the_first_page(crowd, browser):
    third = walk(browser, LIST, "next")[3]
    cursor = links(page(browser, links(page(browser, links(page(browser))["next"]))["next"]))["next"]
    User.objects.filter(email__in=third).exclude(email="alice@example.com").delete()
    User.objects.filter(email="alice@example.com").update(date_joined="2099-01-01T00:00Z")

    assert emails(page(browser, cursor)) == emails(page(browser))


def test_links_keep_search_filter_and_order(crowd, browser):
    first = page(browser, f"{LIST}?q=person&is_active__exact=1&o=1")
    second = page(browser, links(first)["next"])

    assert emails(first) == [f"p0{n}@example.com" for n in range(5)]
    assert emails(second) == [f"p0{n}@example.com" for n in range(5, 10)]
    assert links(second)["first"] == f"{LIST}?is_active__exact=1&o=1&q=person"


def test_pages_are_links_in_a_labelled_navigation(crowd, browser):
    navigation = re.search(r'<nav class="paginator" aria-label="Pages">.*?</nav>', page(browser).text, re.DOTALL)

    assert navigation
    assert re.findall(r"<a .*?>(\w+)</a>", navigation[0]) == ["Next", "Last"]
    assert "16 users" in navigation[0]


def test_only_columns_with_an_index_can_be_sorted_by(crowd, browser):
    headers = re.findall(r'<th scope="col" class="(sortable )?column-(\w+)', page(browser).text)

    assert headers == [("sortable ", "email"), ("sortable ", "name"), ("sortable ", "date_joined"), ("", "last_login")]


def test_filter_that_is_not_offered_is_refused(crowd, browser):
    assert browser.get(LIST, {"password__startswith": "a"}, secure=True).status_code == 400


# Counts.


@pytest.mark.parametrize(
    ("count", "text"),
    [(Count(0), "0"), (Count(12345), "12,345"), (CappedCount(10_000), "10,000+")],
)
def test_count_reads_as_it_was_found_out(count, text):
    assert str(count) == text


def test_count_stops_at_its_cap(crowd):
    users = User.objects.order_by("pk")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_user")

    assert [str(capped_count(users, most)) for most in (15, 16, 17)] == ["15+", "16", "16"]


@pytest.mark.usefixtures("multitude")
def test_count_of_many_rows_is_capped(browser):
    assert "10,000+ users" in page(browser).text
    assert "10,000+ users" in page(browser, f"{LIST}?is_active__exact=1").text
    assert "310 users" in page(browser, f"{LIST}?is_active__exact=0").text


# Lists that are narrowed.


@pytest.mark.parametrize("most", [100, 3])
def test_pages_of_a_narrowed_list_are_the_same_whether_few_rows_match_or_many(most, crowd, browser, monkeypatch):
    monkeypatch.setattr(counts, "MAX_COUNTED", most)
    User.objects.filter(email__in=[f"p{n:02}@example.com" for n in (0, 2, 3, 4, 6, 7, 8, 10)]).update(name="Chosen")
    expected = list(User.objects.filter(name="Chosen").order_by("email").values_list("email", flat=True))
    keyset = Keyset(User.objects.filter(name="Chosen"), ["email", "pk"], 5, lambda rows: rows)

    assert keyset.should_sort_matches == (most > 8)
    assert walk(browser, f"{LIST}?q=chosen&o=1", "next") == [expected[:5], expected[5:]]
    assert walk(browser, f"{LIST}?q=chosen&o=1&p=last", "previous") == [expected[-5:], expected[:5]]


def test_page_begins_behind_a_row_that_no_longer_matches(crowd, browser):
    second = links(page(browser, f"{LIST}?q=person&o=1"))["next"]
    User.objects.filter(email="p04@example.com").update(email="p04@example.com", name="Somebody")

    assert emails(page(browser, second)) == [f"p{n:02}@example.com" for n in range(5, 10)]


# Autocomplete.


def test_suggestions_come_in_pages_and_end(crowd):
    paginator = SuggestionPaginator(User.objects.order_by("email"), 6)

    pages = [paginator.page(number) for number in (1, 2, 3)]
    assert [[user.email for user in one.object_list] for one in pages] == [
        [user.email for user in sorted(crowd, key=lambda user: user.email)][first : first + 6] for first in (0, 6, 12)
    ]
    assert [one.has_next() for one in pages] == [True, True, False]


@pytest.mark.parametrize("number", [0, -1, 11])
def test_suggestions_beyond_the_last_page_are_refused(number, crowd):
    with pytest.raises(InvalidPage):
        SuggestionPaginator(User.objects.order_by("email"), 6).page(number)


@pytest.mark.parametrize(("query", "status"), [("", 200), ("&page=2", 200), ("&page=99", 404), ("&page=x", 404)])
def test_autocomplete_answers(query, status, crowd, browser):
    address = "/big/autocomplete/?app_label=admin&model_name=logentry&field_name=user&term=person"

    assert browser.get(address + query, secure=True).status_code == status


# Too slow.


def test_statement_that_takes_too_long_ends_in_a_page_that_says_what_to_do(browser):
    response = browser.get("/slow/", secure=True)

    assert response.status_code == 503
    assert "<h1>This took too long</h1>" in response.text
    assert "Search for a longer part of a name" in response.text

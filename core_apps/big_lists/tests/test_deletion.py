import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from core_apps.accounts.models import User
from core_apps.big_lists.deletion import MAX_DELETED_ROWS
from core_apps.big_lists.tests.user_list import LIST, page

pytestmark = [pytest.mark.django_db, pytest.mark.urls("core_apps.big_lists.tests.user_list")]


def act(browser: Any, action: str, query: str = "", **values: Any) -> Any:
    chosen = {"action": action, "index": "0", "_selected_action": [str(User.objects.first().pk)]}  # type: ignore[union-attr]
    return browser.post(LIST + query, chosen | values, secure=True)


@pytest.mark.usefixtures("multitude")
def test_more_than_one_request_can_delete_are_refused(browser):
    act(browser, "delete_selected", "?q=many", select_across="1", post="yes")

    assert User.objects.count() == 31_001
    messages = [str(message) for message in page(browser).context["messages"]]
    assert messages == ["You can delete at most 500 at once. Narrow the list by a search or a filter."]


def test_deletion_of_all_that_match_asks_first_and_lists_a_few(crowd, browser):
    people = [User(email=f"{n}@b.example", name="Brandt") for n in range(30)]
    User.objects.bulk_create(people)

    asked = act(browser, "delete_selected", "?q=brandt", select_across="1")

    assert asked.text.count("User: ") == 20
    assert "and more users" in asked.text
    assert {name: str(count) for name, count in asked.context["model_count"]} == {"users": "30"}
    keys = re.findall(r'name="_selected_action" value="(\d+)"', asked.text)
    browser.post(LIST, {"action": "delete_selected", "post": "yes", "_selected_action": keys}, secure=True)
    assert User.objects.count() == len(crowd)


def test_bound_of_a_deletion_fits_into_a_form(settings):
    assert settings.DATA_UPLOAD_MAX_NUMBER_FIELDS > MAX_DELETED_ROWS


def test_deletion_lists_what_goes_with_it_up_to_a_bound(alice, charlie, browser):
    entries = [
        LogEntry(user=charlie, content_type_id=None, object_repr=f"Row {n}", action_flag=1, change_message="")
        for n in range(25)
    ]
    LogEntry.objects.bulk_create(entries)

    response = page(browser, f"{LIST}{charlie.pk}/delete/")

    assert response.text.count("Log entry: ") == 20
    assert "and more log entries" in response.text
    assert {name: str(count) for name, count in response.context["model_count"]} == {"users": "1", "log entries": "25"}

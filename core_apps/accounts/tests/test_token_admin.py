"""API tokens in the admin: made for oneself, seen once, revoked by whoever may."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.models import ApiToken, token_digest

pytestmark = pytest.mark.django_db

ADD = "admin:accounts_apitoken_add"
LIST = "admin:accounts_apitoken_changelist"
ROLES = ("Administrator", "Manager", "Stand staff", "Read-only")


def make(client, **changes):
    data = {"name": "Website", "scopes": ["read"], "days": "90"} | changes
    return client.post(reverse(ADD), data, secure=True)


def revoke(client, token: ApiToken) -> None:
    client.post(reverse("admin:accounts_apitoken_delete", args=[token.pk]), {"post": "yes"}, secure=True)


def names(client) -> list[str]:
    page = client.get(reverse(LIST), secure=True)
    return sorted(token.name for token in page.context["cl"].result_list)


@pytest.mark.parametrize("role", ROLES)
def test_token_is_made_for_oneself_and_shown_once(member_of, client_of, role):
    person = member_of(role)
    client = client_of(person)

    page = make(client, scopes=["read", "capture"])

    plain = re.search(r'<code id="token">([0-9a-f]{64})</code>', page.content.decode())
    assert plain
    token = ApiToken.objects.get()
    assert (token.user, token.name, token.scopes) == (person, "Website", ["read", "capture"])
    assert token.digest == token_digest(plain[1])
    assert "no-store" in page["Cache-Control"]
    assert plain[1].encode() not in client.get(reverse(LIST), secure=True).content
    assert plain[1] not in str(LogEntry.objects.values_list()) + str(client.cookies) + str(dict(client.session))


def test_person_without_rights_makes_no_token(charlie, client_of):
    charlie.is_staff = True
    charlie.save()

    assert make(client_of(charlie)).status_code == 403
    assert ApiToken.objects.count() == 0


def test_token_lives_for_the_days_that_were_chosen(bob, client_of):
    make(client_of(bob), days="7")

    left = ApiToken.objects.get().expiry - timezone.now()
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"days": "366"}, "days"),
        ({"days": "0"}, "days"),
        ({"days": ""}, "days"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"name": ""}, "name"),
    ],
)
def test_token_that_asks_too_much_is_refused(bob, client_of, changes, field):
    page = make(client_of(bob), **changes)

    assert list(page.context["adminform"].form.errors) == [field]
    assert ApiToken.objects.count() == 0


def test_form_begins_with_reading_for_three_months(bob, client_of):
    form = client_of(bob).get(reverse(ADD), secure=True).context["adminform"].form

    assert (form["scopes"].initial, form["days"].initial) == (["read"], 90)


def test_person_sees_and_revokes_only_own_tokens(bob, member_of, client_of):
    make(client_of(bob), name="Bob's")
    other = client_of(member_of("Manager"))
    make(other, name="Own")
    theirs, own = ApiToken.objects.get(name="Bob's"), ApiToken.objects.get(name="Own")

    assert names(other) == ["Own"]
    revoke(other, theirs)
    revoke(other, own)
    assert list(ApiToken.objects.all()) == [theirs]


def test_administrator_sees_and_revokes_everybodys_tokens(bob, member_of, client_of):
    make(client_of(bob))
    client = client_of(member_of("Administrator"))

    assert names(client) == ["Website"]
    revoke(client, ApiToken.objects.get())
    assert ApiToken.objects.count() == 0


def test_token_is_not_changed(bob, client_of):
    client = client_of(bob)
    make(client)
    token = ApiToken.objects.get()

    page = client.post(
        reverse("admin:accounts_apitoken_change", args=[token.pk]),
        {"name": "Other", "scopes": ["delete"], "days": "365"},
        secure=True,
    )

    assert page.status_code == 403
    assert ApiToken.objects.values_list("name", "scopes").get() == ("Website", ["read"])
    assert client.get(reverse("admin:accounts_apitoken_change", args=[token.pk]), secure=True).status_code == 200


def test_token_opens_no_page_of_the_admin(bob, client_of, client):
    plain = re.search(r'<code id="token">(\w+)<', make(client_of(bob)).content.decode())
    assert plain

    answer = client.get(reverse(ADD), headers={"Authorization": f"Token {plain[1]}"}, secure=True)

    assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/admin/login/")

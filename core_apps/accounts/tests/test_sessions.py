"""How long a session lasts, what ends it, and when the password is asked for again."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.background import delete_old_sessions
from core_apps.accounts.models import ApiToken
from core_apps.accounts.scopes import Scope
from core_apps.accounts.sessions import CONFIRMED, CONFIRMED_SECONDS, SEEN
from core_apps.accounts.tests.conftest import PASSWORD
from core_apps.tasks.running import run_due_tasks

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fast_passwords")]

NEW = "another long password"
INDEX, CHANGE, CONFIRM = "admin:index", "admin:password_change", "admin:confirm_password"


def age(client: Client, key: str, seconds: float) -> int:
    """Makes the time in the session so much older."""
    session = client.session
    session[key] -= int(seconds)
    session.save()
    return int(session[key])


def change_password(client: Client, **fields):
    data = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW} | fields
    return client.post(reverse(CHANGE), data, secure=True)


@pytest.mark.parametrize(("minutes", "status"), [(29, 200), (31, 302)])
def test_session_ends_when_idle(bob, client_of, settings, minutes, status):
    settings.SESSION_IDLE_MINUTES = 30
    client = client_of(bob)
    age(client, SEEN, 60 * minutes)

    assert client.get(reverse(INDEX), secure=True).status_code == status


@pytest.mark.parametrize(("minutes", "saved"), [(2, False), (4, True)])
def test_last_request_is_saved_once_in_a_tenth_of_the_limit(bob, client_of, settings, minutes, saved):
    settings.SESSION_IDLE_MINUTES = 30
    client = client_of(bob)
    before = age(client, SEEN, 60 * minutes)

    client.get(reverse(INDEX), secure=True)
    assert (client.session[SEEN] > before) == saved


def test_session_ends_after_two_weeks_however_it_is_used(bob, client_of):
    client = client_of(bob)
    end = client.session.get_expiry_date()
    age(client, SEEN, 2 * 60 * 60)
    client.get(reverse(INDEX), secure=True)

    assert client.session.get_expiry_date() == end
    assert timedelta(days=13, hours=23) < end - timezone.now() <= timedelta(days=14)


def test_password_change_ends_the_other_sessions(person, client_of):
    own, other = client_of(person), client_of(person)

    assert change_password(own).status_code == 302
    assert own.get(reverse(INDEX), secure=True).status_code == 200
    assert other.get(reverse(INDEX), secure=True).status_code == 302


@pytest.mark.parametrize(("fields", "left"), [({"end_tokens": "on"}, ["Theirs"]), ({}, ["Own", "Theirs"])])
def test_password_change_ends_own_tokens_where_wanted(person, member_of, client_of, fields, left):
    for name, user in (("Own", person), ("Theirs", member_of("Manager"))):
        ApiToken.objects.create_token(user, timedelta(days=1), name=name, scopes=[Scope.READ])

    assert change_password(client_of(person), **fields).status_code == 302
    assert sorted(ApiToken.objects.values_list("name", flat=True)) == left


def test_password_change_without_tokens_offers_nothing(person, client_of):
    assert "end_tokens" not in client_of(person).get(reverse(CHANGE), secure=True).context["form"].fields


@pytest.mark.parametrize(
    "name", ["apitoken_add", "user_add", "user_change", "user_delete", "user_password_change", "group_change"]
)
def test_sensitive_page_asks_for_the_password_again(alice, person, client_of, name):
    alice.set_password(PASSWORD)
    alice.save()
    row = {"group_change": Group.objects.get(name="Manager").pk, "apitoken_add": None, "user_add": None}.get(
        name, person.pk
    )
    app = "auth" if name.startswith("group") or name == "user_password_change" else "accounts"
    address = reverse(f"admin:{app}_{name}", args=[row] if row else [])
    client = client_of(alice)
    assert client.get(address, secure=True).status_code == 200

    age(client, CONFIRMED, CONFIRMED_SECONDS + 1)
    page = client.get(address, secure=True, follow=True)
    assert page.request["PATH_INFO"] == reverse(CONFIRM)
    page = client.post(page.redirect_chain[-1][0], {"password": PASSWORD}, secure=True)
    assert (page.status_code, page["Location"]) == (302, address)
    assert client.get(address, secure=True).status_code == 200


def test_wrong_password_opens_no_sensitive_page(person, client_of):
    client = client_of(person)
    age(client, CONFIRMED, 3 * CONFIRMED_SECONDS)

    client.post(reverse(CONFIRM), {"password": "wrong"}, secure=True)
    client.post(reverse("admin:accounts_apitoken_add"), {"name": "X", "scopes": ["read"], "days": "1"}, secure=True)
    assert ApiToken.objects.count() == 0


def test_form_opened_in_time_may_be_sent_later(person, client_of):
    client = client_of(person)
    age(client, CONFIRMED, CONFIRMED_SECONDS + 1)

    client.post(reverse("admin:accounts_apitoken_add"), {"name": "X", "scopes": ["read"], "days": "1"}, secure=True)
    assert ApiToken.objects.count() == 1


def test_confirmation_leads_to_no_other_site(person, client_of):
    page = client_of(person).post(f"{reverse(CONFIRM)}?next=https://evil.example/", {"password": PASSWORD}, secure=True)

    assert page["Location"] == reverse(INDEX)


def test_colleague_is_seen_without_the_password(bob, alice, client_of):
    client = client_of(bob)
    age(client, CONFIRMED, 3 * CONFIRMED_SECONDS)

    assert client.get(reverse("admin:accounts_user_change", args=[alice.pk]), secure=True).status_code == 200


def test_row_of_a_session_that_has_ended_is_deleted(bob, alice, client_of):
    ended, other = client_of(bob).session.session_key, client_of(alice).session.session_key
    Session.objects.filter(pk=ended).update(expire_date=timezone.now() - timedelta(seconds=1))

    delete_old_sessions.enqueue()
    run_due_tasks("progress")

    assert list(Session.objects.values_list("pk", flat=True)) == [other]

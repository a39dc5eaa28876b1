"""The limit of wrong passwords per account, over all addresses."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from core_apps.accounts.guesses import COUNTERS, LIMIT, TooManyGuessesError, hash_to_counter, limit
from core_apps.accounts.models import PasswordGuesses
from core_apps.accounts.tests.conftest import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fast_passwords")]

LOGIN, CHANGE, CONFIRM = "admin:login", "admin:password_change", "admin:confirm_password"


def log_in(client, email, password=PASSWORD, address="192.0.2.1"):
    data = {"username": email, "password": password}
    return client.post(reverse(LOGIN), data, secure=True, REMOTE_ADDR=address)


def codes(page):
    return [error.code for error in page.context["form"].non_field_errors().as_data()]


def guess_until_refused(email):
    for number in range(LIMIT):
        assert codes(log_in(Client(), email, "wrong", f"192.0.2.{number}")) == ["invalid_login"]


@pytest.mark.parametrize("email", ["bob@example.com", "BOB@example.com", "nobody@example.com"])
def test_guesses_beyond_the_limit_are_not_checked(person, email):
    guess_until_refused(email)

    assert codes(log_in(Client(), email, PASSWORD, "198.51.100.1")) == ["too_many_guesses"]
    assert log_in(Client(), "bob@example.com").status_code == (302 if email.startswith("nobody") else 200)


def test_known_device_logs_in_during_an_attack(person):
    client = Client()
    log_in(client, person.email)
    client.post(reverse("admin:logout"), secure=True)
    guess_until_refused(person.email)

    assert log_in(client, person.email).status_code == 302


def test_known_device_has_a_limit_too(person):
    client = Client()
    log_in(client, person.email)
    client.post(reverse("admin:logout"), secure=True)
    for _ in range(LIMIT):
        log_in(client, person.email, "wrong")

    assert codes(log_in(client, person.email)) == ["too_many_guesses"]
    assert log_in(Client(), person.email).status_code == 302


def test_device_of_another_person_does_not_count(person, member_of):
    other = member_of("Manager")
    other.set_password(PASSWORD)
    other.save()
    client = Client()
    log_in(client, other.email)
    client.post(reverse("admin:logout"), secure=True)
    theirs = next(name for name in client.cookies if name.startswith("device_"))
    own = f"device_{hash_to_counter('account', person.email)}"
    client.cookies[own] = client.cookies[theirs].value
    guess_until_refused(person.email)

    assert codes(log_in(client, person.email)) == ["too_many_guesses"]


def test_right_passwords_do_not_count(person):
    for _ in range(LIMIT + 1):
        assert log_in(Client(), person.email).status_code == 302


def test_limit_ends_after_its_time(person):
    guess_until_refused(person.email)
    guesses = PasswordGuesses.objects.get()
    guesses.times = [time - timedelta(minutes=15) for time in guesses.times]
    guesses.save()

    assert log_in(Client(), person.email).status_code == 302


def test_limit_works_without_redis(person, silent_redis):
    guess_until_refused(person.email)

    assert codes(log_in(Client(), person.email)) == ["too_many_guesses"]


def test_session_goes_on_during_an_attack(person):
    client = Client()
    log_in(client, person.email)
    guess_until_refused(person.email)

    assert client.get(reverse("admin:index"), secure=True).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_simultaneous_guesses_do_not_exceed_the_limit():
    checked = []

    def guess(number):
        try:
            limit(None, "bob@example.com", lambda: checked.append(number))
        except TooManyGuessesError:
            pass
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(guess, range(40)))

    assert len(checked) == LIMIT


@pytest.mark.parametrize(("page", "field"), [(CHANGE, "old_password"), (CONFIRM, "password")])
def test_stolen_session_guesses_no_password(person, client_of, page, field):
    client, new = client_of(person), "another long password"
    fields = {"new_password1": new, "new_password2": new}
    for _ in range(LIMIT):
        form = client.post(reverse(page), fields | {field: "wrong"}, secure=True).context["form"]
        assert [error.code for error in form.errors.as_data()[field]] == ["password_incorrect"]

    form = client.post(reverse(page), fields | {field: PASSWORD}, secure=True).context["form"]
    assert [error.code for error in form.errors.as_data()[field]] == ["too_many_guesses"]
    person.refresh_from_db()
    assert person.check_password(PASSWORD)


def test_counters_are_bounded():
    assert max(hash_to_counter("account", f"{number}@example.com") for number in range(1000)) < COUNTERS

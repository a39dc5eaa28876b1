import re

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.test import Client
from django.urls import reverse

from core_apps.accounts.models import User
from core_apps.accounts.services import create_first_administrator
from core_apps.tasks.running import run_due_tasks

pytestmark = pytest.mark.django_db
PASSWORD = "a harbour full of lamps"


def test_login_with_email_in_another_case_succeeds():
    user = User.objects.create_user("Ann@Example.com", PASSWORD)

    assert authenticate(username="ANN@example.COM", password=PASSWORD) == user


def test_second_user_with_the_email_in_another_case_is_refused():
    User.objects.create_user("ann@example.com")

    with pytest.raises(IntegrityError, match="email"):
        User.objects.create_user("ANN@EXAMPLE.COM")


def test_email_in_capitals_is_refused_by_the_database():
    User.objects.create_user("ann@example.com")

    with pytest.raises(IntegrityError, match="user_email_lower_case"), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET email = 'Ann@example.com'")


def test_user_without_email_is_refused():
    with pytest.raises(IntegrityError, match="user_email_not_blank"):
        User.objects.create_user("")


def test_password_is_kept_as_a_scrypt_hash():
    assert User.objects.create_user("ann@example.com", PASSWORD).password.startswith("scrypt$")


@pytest.mark.parametrize("password", ["short", "password1234", "123456789012", "ann@example.com"])
def test_weak_password_is_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password, User(email="ann@example.com"))


def test_first_administrator_is_created_once():
    password = create_first_administrator(email="admin@example.com")

    assert password is not None
    assert authenticate(username="admin@example.com", password=password) == User.objects.get()
    assert User.objects.get().is_staff
    assert create_first_administrator(email="second@example.com") is None
    assert User.objects.count() == 1


def test_home_leads_to_the_admin():
    response = Client().get("/", secure=True)

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")


def test_login_page_offers_a_password_reset():
    page = Client().get(reverse("admin:login"), secure=True).content.decode()

    assert reverse("admin_password_reset") in page


@pytest.mark.django_db(transaction=True)
def test_password_reset_by_email_lets_the_user_in_with_the_new_one():
    user = User.objects.create_user("ann@example.com", PASSWORD)
    client = Client()

    client.post(reverse("admin_password_reset"), {"email": "ANN@example.com"}, secure=True)
    run_due_tasks("emails")
    [message] = mail.outbox
    [link] = re.findall(r"https://testserver(/reset/\S+)", str(message.body))
    form = client.get(link, secure=True).headers["Location"]
    new = {"new_password1": PASSWORD * 2, "new_password2": PASSWORD * 2}
    done = client.post(form, new, secure=True)

    assert message.to == ["ann@example.com"]
    assert done.headers["Location"] == reverse("password_reset_complete")
    assert authenticate(username="ann@example.com", password=PASSWORD * 2) == user
    assert authenticate(username="ann@example.com", password=PASSWORD) is None


@pytest.mark.django_db(transaction=True)
def test_password_reset_for_an_unknown_address_answers_alike_and_sends_nothing():
    response = Client().post(reverse("admin_password_reset"), {"email": "nobody@example.com"}, secure=True)

    run_due_tasks("emails")
    assert response.headers["Location"] == reverse("password_reset_done")
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("host", ["crm.example.com", "crm.example.org:8443"])
def test_password_reset_mail_names_the_host_that_was_asked(host, settings):
    settings.ALLOWED_HOSTS = ["crm.example.com", "crm.example.org"]
    User.objects.create_user("ann@example.com", PASSWORD)
    headers = {"Host": host, "X-Forwarded-Host": "stranger.example", "Forwarded": "host=stranger.example"}

    Client().post(reverse("admin_password_reset"), {"email": "ann@example.com"}, secure=True, headers=headers)
    run_due_tasks("emails")

    [message] = mail.outbox
    assert re.findall(r"\S*://[^/\s]+", str(message.body)) == [f"https://{host}"]
    assert "stranger" not in f"{message.subject} {message.body}"


def test_password_reset_for_a_refused_host_sends_nothing(settings):
    settings.ALLOWED_HOSTS = ["crm.example.com"]
    User.objects.create_user("ann@example.com", PASSWORD)

    response = Client().post(
        reverse("admin_password_reset"),
        {"email": "ann@example.com"},
        secure=True,
        headers={"Host": "stranger.example", "X-Forwarded-Host": "crm.example.com"},
    )

    assert (response.status_code, mail.outbox) == (400, [])


def test_administrator_adds_a_user_by_email(alice, client_of):
    form = {"email": "Dora@Example.com", "name": "Dora", "usable_password": "true"}
    passwords = {"password1": PASSWORD, "password2": PASSWORD}

    client_of(alice).post(reverse("admin:accounts_user_add"), form | passwords, secure=True)

    assert authenticate(username="dora@example.com", password=PASSWORD) == User.objects.get(name="Dora")


@pytest.mark.parametrize("rows", [1, 3])
def test_user_list_takes_the_same_queries_for_1_and_3_rows(rows, alice, client_of, django_assert_num_queries):
    for number in range(rows - 1):
        User.objects.create_user(f"{number}@example.com")
    client = client_of(alice)

    with django_assert_num_queries(5):
        response = client.get(reverse("admin:accounts_user_changelist"), secure=True)

    assert len(response.context["cl"].result_list) == rows


def test_user_search_finds_by_part_of_the_email(alice, bob, client_of):
    response = client_of(alice).get(reverse("admin:accounts_user_changelist"), {"q": "BOB@"}, secure=True)

    assert list(response.context["cl"].result_list) == [bob]

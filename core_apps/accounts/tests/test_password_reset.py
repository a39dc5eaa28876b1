"""A password reset waits for no mail server, and does not tell who exists."""

import time
from collections.abc import Iterator
from statistics import quantiles

import pytest
from django.test import Client
from django.urls import reverse

from core_apps.accounts import password_reset
from core_apps.accounts.models import User
from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks
from core_apps.tasks.tests.mail_servers import MailServer, run_mail_server, run_silent_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ann@example.com", "a harbour full of lamps")


@pytest.fixture(autouse=True)
def _smtp(settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT = "127.0.0.1", False, 0.1


@pytest.fixture
def mail_server(settings) -> Iterator[MailServer]:
    with run_mail_server() as server:
        settings.EMAIL_PORT = server.server_address[1]
        yield server


@pytest.fixture
def silent_mail_server(settings) -> Iterator[None]:
    with run_silent_server() as settings.EMAIL_PORT:
        yield


def reset(email: str, **options):
    return Client().post(reverse("admin_password_reset"), {"email": email}, secure=True, **options)


def test_site_without_a_mail_server_does_not_claim_to_have_sent_anything(user, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

    response = reset("ann@example.com")

    assert response.status_code == 200
    assert response.context["form"].non_field_errors() == [
        "This site cannot send e-mail. Please ask an administrator for a new password."
    ]


def test_mail_leaves_in_the_language_of_the_page(user, mail_server):
    response = reset("ANN@example.com", headers={"Accept-Language": "de"})

    assert response.headers["Location"] == reverse("password_reset_done")
    run_due_tasks("emails")
    [message] = mail_server.messages
    assert "To: ann@example.com" in message
    assert "https://testserver/reset/" in message
    assert "Passwort" in message


def test_silent_mail_server_holds_no_request_and_the_mail_is_tried_again(user, silent_mail_server, settings):
    settings.EMAIL_TIMEOUT = 2
    start = time.perf_counter()

    statuses = [reset("ann@example.com").status_code for _ in range(3)]

    assert (statuses, time.perf_counter() - start < 2) == ([302] * 3, True)
    settings.EMAIL_TIMEOUT = 0.1
    run_due_tasks("emails")
    assert set(Task.objects.values_list("state", "attempts", "error")) == {
        ("queued", 1, "SMTPServerDisconnected: Connection unexpectedly closed: timed out")
    }


def measure_difference() -> float:
    """Between an existing and an unknown user; of the fastest tenth, which other load on this machine delays least."""
    seconds: dict[str, list[float]] = {"ann@example.com": [], "nobody@example.com": []}
    for _ in range(100):
        for email, measured in seconds.items():
            start = time.perf_counter()
            reset(email)
            measured.append(time.perf_counter() - start)
    existing, unknown = (1000 * quantiles(measured, n=10)[0] for measured in seconds.values())
    print(f"{existing:.1f} ms for a user, {unknown:.1f} ms for nobody")
    return abs(existing / unknown - 1)


def test_response_takes_the_same_time_whether_or_not_there_is_a_user(user, silent_mail_server, settings):
    settings.EMAIL_TIMEOUT = 0.02
    # A machine that is busy with something else has two more chances.
    assert any(measure_difference() <= 0.1 for _ in range(3))


def test_reset_that_finds_too_many_waiting_is_refused(user, monkeypatch, caplog):
    monkeypatch.setattr(password_reset, "MAX_WAITING", 1)
    assert reset("ann@example.com").status_code == 302

    responses = [reset(email) for email in ("ann@example.com", "nobody@example.com")]

    assert [(response.status_code, response.headers["Retry-After"]) for response in responses] == [(503, "60")] * 2
    assert {"Try again in a minute" in response.text for response in responses} == {True}
    assert [record.levelname for record in caplog.records if record.name == password_reset.__name__] == ["ERROR"] * 2
    assert Task.objects.count() == 1

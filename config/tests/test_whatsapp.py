"""Messages by WhatsApp, sent to the mock as a server of its own."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from config.tests.mock_server import PHONE, make_friend, queue, read_outcome, send
from core_apps.messaging import whatsapp
from core_apps.messaging.models import Consent, Message, Reply, Suppression, Wording
from core_apps.messaging.suppression import build_unsubscribe_url, suppress_all
from core_apps.messaging.whatsapp import ACTIONS
from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks, run_next
from customers.models import Customer
from customers.tests.factories import make_customer
from mock.errors import ERRORS, REFUSED

pytestmark = pytest.mark.django_db

HOUR, DAY = 3600, 86_400


def reply(customer: Customer, **values) -> None:
    values = {"at": timezone.now(), "text": "Hello", "provider_id": "wamid.1"} | values
    Reply.objects.create(recipient=customer, address=customer.phone_e164, **values)


def test_template_is_sent_with_its_parameters(mock, customer):
    message = send(customer)

    page = mock.page()
    assert (message.state, message.address, message.consent) == ("sent", PHONE, Consent.objects.get())
    assert (message.provider_id[:6], message.template, message.text) == ("wamid.", "visit_thanks", "")
    assert ["visit_thanks (en)" in page, "{{1}} Ingrid" in page, "{{2}} Harbour Fair" in page] == [True] * 3


def test_nothing_is_sent_where_mail_is_redirected(mock, customer, settings):
    settings.EMAIL_REDIRECT_TO = "staging@example.com"

    message = send(customer)

    assert (message.state, message.error) == (
        "failed",
        "WhatsApp is off: WHATSAPP_TOKEN is not set, or EMAIL_REDIRECT_TO is.",
    )
    assert "Ingrid" not in mock.page()


def test_text_is_sent_within_24_hours_of_a_reply(mock, customer):
    mock.post(f"phones/{PHONE[1:]}", text="Hello")
    reply(customer)

    message = send(customer)

    page = mock.page()
    assert (message.state, "Dear Ingrid" in page, "visit_thanks (en)" in page) == ("sent", True, False)
    assert build_unsubscribe_url(PHONE, "visit") in page
    assert (message.text, message.template, message.parameters) == ("Dear Ingrid", "", "")


@pytest.mark.parametrize("age", [timedelta(hours=23), timedelta(hours=25)])
def test_template_is_sent_where_the_window_is_closed(mock, customer, age):
    """Whether we know that, or only the API does."""
    reply(customer, at=timezone.now() - age)

    assert (send(customer).state, "visit_thanks (en)" in mock.page()) == ("sent", True)


def test_text_without_a_template_fails_where_the_window_is_closed(mock, customer):
    message = send(customer, template="")

    assert (message.state, message.error.partition(")")[0]) == ("failed", "WhatsApp 131047: (#131047")


RETRIED = dict.fromkeys((1, 2, 131000, 131016, 131056, 4, 80007, 130429), ("queued", "queued", 10))
STOPPED = dict.fromkeys((0, 10, 190, 133010, 131031, 368), ("queued", "queued", HOUR))
WAITING = dict.fromkeys((131048, 131049), ("queued", "queued", DAY))
OUTCOMES = dict.fromkeys(ERRORS, ("failed", "failed", 0)) | RETRIED | STOPPED | WAITING


@pytest.mark.parametrize("code", ERRORS)
def test_error_leads_to_the_right_state(mock, wording, code):
    message = send(make_friend(f"+{REFUSED[code]}", wording))

    state, task, seconds = read_outcome(message)
    expected = OUTCOMES[code]
    assert (state, task) == expected[:2]
    assert expected[2] <= seconds <= expected[2] * 1.2  # with jitter
    assert message.error.startswith(f"WhatsApp {code}: (#{code}) {ERRORS[code][1]}")
    assert Suppression.objects.exists() == (code == 131050)


def test_client_and_mock_know_the_same_codes():
    assert sorted(ACTIONS) == sorted(ERRORS)


@pytest.mark.parametrize(
    ("code", "expected"), [(190, HOUR), (131031, HOUR), (4, 10), (130429, 10), (131056, 0), (131000, 0)]
)
def test_error_of_the_account_delays_all_others(mock, wording, code, expected):
    queue(make_friend(PHONE, wording), "other")
    Task.objects.update(priority=2)

    queue(make_friend(f"+{REFUSED[code]}", wording))
    run_next("emails")

    state, _task, seconds = read_outcome(Message.objects.get(key="other"))
    assert (state, seconds) == ("queued", expected)


@pytest.mark.parametrize(("code", "expected"), [(132015, "cancelled"), (132016, "cancelled"), (132001, "queued")])
def test_template_that_was_stopped_is_stopped_for_all(mock, wording, code, expected):
    queue(make_friend(PHONE, wording), "other")
    queue(make_friend(PHONE, wording), "with another template", template="hello_world")
    Task.objects.update(priority=2)
    queue(make_friend(f"+{REFUSED[code]}", wording))
    run_next("emails")

    tasks = [read_outcome(Message.objects.get(key=key))[1] for key in ("other", "with another template")]
    assert tasks == [expected, "queued"]


# Without an answer


@pytest.mark.parametrize("fault", ["hang", "drop", "500"])
def test_message_without_an_answer_is_unknown_and_not_sent_again(mock, customer, fault, monkeypatch):
    monkeypatch.setattr(whatsapp, "TIMEOUT", 0.5)
    mock.post("settings", fault=fault)

    message = send(customer)
    mock.post("settings", fault="")
    run_due_tasks("emails")

    assert read_outcome(message) == ("unknown", "unknown", 0)
    assert message.error.startswith("WhatsApp gave no answer")
    assert mock.count_messages(PHONE) == (fault == "drop")


def test_message_of_a_killed_worker_is_unknown(mock, customer):
    queue(customer)
    Message.objects.update(state="sending")
    Task.objects.update(state="running", attempts=1)

    run_due_tasks("emails")

    assert (read_outcome(Message.objects.get()), mock.count_messages(PHONE)) == (("unknown", "unknown", 0), 0)


def test_person_may_send_an_unknown_message_again(mock, customer):
    mock.post("settings", fault="500")
    message = send(customer)
    mock.post("settings", fault="")

    Task.objects.update(state="queued", attempts=0, due_at=Now())
    run_due_tasks("emails")

    assert (read_outcome(message), mock.count_messages(PHONE)) == (("sent", "done", 0), 1)


def test_message_waits_while_the_api_cannot_be_reached(mock, customer, settings):
    settings.WHATSAPP_API_URL = "http://127.0.0.1:1"

    message = send(customer)

    state, task, seconds = read_outcome(message)
    assert (state, task, 10 <= seconds <= 12) == ("queued", "queued", True)
    assert message.error == "127.0.0.1 cannot be reached: [Errno 111] Connection refused"


# Random


@pytest.mark.parametrize("seed", range(5))
def test_only_who_agrees_gets_messages(seed, mock, wording):
    """Beside a simple model of what is allowed; consent to e-mails is none to this."""
    chance, moment = random.Random(seed), timezone.now() - timedelta(days=1)
    e_mails = Wording.objects.create(purpose="visit", language="en", text="I agree to e-mails.")
    phones = [f"+49171392000{number}" for number in range(4)]
    people = {phone: make_customer(phone=phone, email=f"{phone}@example.com") for phone in phones}
    agreed, stopped = set(), set()
    expected = Counter[str]()
    for step in range(60):
        phone, at = chance.choice(phones), moment + timedelta(seconds=step)
        match chance.randrange(7):
            case 0 | 1:
                people[phone].consents.create(wording=wording, method="spoken", at=at)
                agreed.add(phone)
            case 2:
                people[phone].consents.create(wording=wording, method="spoken", at=at, given=False)
                agreed.discard(phone)
            case 3:
                suppress_all(phone)
                stopped.add(phone)
            case 4:
                people[phone].delete()
                people[phone] = make_customer(phone=phone, email=f"{phone}@example.com")
                agreed.discard(phone)
            case 5:
                people[phone].consents.create(wording=e_mails, method="spoken", at=at)
            case 6:
                expected[phone] += phone in agreed - stopped
                send(people[phone], f"{step}")

    assert {phone: mock.count_messages(phone) for phone in phones} == {phone: expected[phone] for phone in phones}

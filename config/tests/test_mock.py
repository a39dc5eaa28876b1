"""The mock of WhatsApp: what it refuses, and what it reports."""

import os
import subprocess
import sys
import time
from typing import Any

import pytest
from django.test import Client

from config.local.defaults import CHECKOUT
from config.tests.mock_server import PHONE, Mock, make_friend, read_outcome, send
from core_apps.messaging import whatsapp
from core_apps.messaging.models import Reply, Suppression
from core_apps.webhooks.tests.receivers import Receiver
from mock.errors import ERRORS, FAILING

pytestmark = pytest.mark.django_db


def post_template(mock: Mock, **changes: Any) -> int:
    """Return the error code; 0 if it is accepted."""
    parameters = [{"type": "text", "text": "Ingrid"}, {"type": "text", "text": "Harbour Fair"}]
    template = {"name": "visit_thanks", "language": {"code": "en"}, "parameters": parameters} | changes
    template["components"] = [{"type": "body", "parameters": template.pop("parameters")}]
    content = {"messaging_product": "whatsapp", "to": PHONE, "type": "template", "template": template}
    answer = whatsapp.request_api("/v26.0/100000000000001/messages", content)
    return answer["error"]["code"] if "error" in answer else 0


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"name": "another"}, 132001),
        ({"language": {"code": "fr"}}, 132001),
        ({"parameters": []}, 132000),
        ({"parameters": [{"type": "text", "text": "a"}, {"type": "image"}]}, 132012),
        ({"parameters": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]}, 132012),
    ],
)
def test_mock_knows_the_parameters_of_templates(mock, changes, expected):
    assert post_template(mock, **changes) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [("APPROVED", 0), ("PENDING", 132001), ("REJECTED", 132001), ("PAUSED", 132015), ("DISABLED", 132016)],
)
def test_mock_knows_the_states_of_templates(mock, status, expected):
    mock.post("templates", name="visit_thanks:en", parameters=2, status=status)

    assert post_template(mock) == expected


def test_mock_limits_messages_to_one_person(mock):
    mock.post("settings", burst_to_one_person=3)

    assert [post_template(mock) for _ in range(4)] == [0, 0, 0, 131056]


def test_mock_limits_messages_per_second(mock):
    mock.post("settings", messages_per_second=0)

    assert post_template(mock) == 130429


@pytest.mark.parametrize(("name", "expected"), [("WHATSAPP_TOKEN", 190)])
def test_mock_refuses_another_token(mock, settings, name, expected):
    setattr(settings, name, "another")

    assert post_template(mock) == expected


@pytest.mark.parametrize("debug", ["", "false"])
def test_mock_without_debug_does_not_start(debug):
    command = [sys.executable, "-c", "import mock.app"]
    done = subprocess.run(command, cwd=CHECKOUT, env=os.environ | {"DEBUG": debug}, capture_output=True, text=True)

    assert (done.returncode, done.stderr.strip()) == (
        1,
        "The mock of WhatsApp is for development: it starts with DEBUG=true only.",
    )


# Statuses, as the mock signs them


def replay(receiver: Receiver, count: int) -> None:
    """Let the site have what the mock has sent, once there are so many."""
    deadline = time.monotonic() + 10
    while len(receiver.requests) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(receiver.requests) >= count
    for _path, headers, body in receiver.requests:
        signature = {"X-Hub-Signature-256": headers["x-hub-signature-256"]}
        response = Client().post("/whatsapp/", body, "application/json", secure=True, headers=signature)
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("switches", "count", "expected"),
    [
        ({}, 2, "delivered"),
        ({"duplicates": 100, "disorder": "on"}, 4, "delivered"),
        ({"loss": 100}, 0, "sent"),
    ],
)
def test_statuses_end_right_whatever_becomes_of_them(mock, customer, receiver, switches, count, expected):
    mock.post("settings", **switches)

    message = send(customer)
    replay(receiver, count)

    assert read_outcome(message) == (expected, "done", 0)


@pytest.mark.parametrize("code", ERRORS)
def test_error_that_comes_later_is_a_failure(mock, wording, receiver, code):
    message = send(make_friend(f"+{FAILING[code]}", wording))
    assert message.state == "sent"

    replay(receiver, 1)

    assert read_outcome(message) == ("failed", "done", 0)
    assert message.error.startswith(f"WhatsApp {code}: {ERRORS[code][1]}")
    assert Suppression.objects.exists() == (code == 131050)


@pytest.mark.parametrize(("status", "expected"), [("read", ("read", "")), ("failed", ("delivered", ""))])
def test_buttons_of_the_page_report_a_status(mock, customer, receiver, status, expected):
    message = send(customer)
    replay(receiver, 2)

    mock.post(f"messages/{message.provider_id}", status=status)
    replay(receiver, 3)

    message.refresh_from_db()
    assert (message.state, message.error) == expected


def test_person_who_writes_gets_a_text_and_who_stops_nothing(mock, customer, receiver):
    mock.post(f"phones/{PHONE[1:]}", text="Grüße")
    replay(receiver, 1)
    first = send(customer, template="")
    mock.post(f"phones/{PHONE[1:]}", marketing="stop")
    replay(receiver, 4)

    assert (Reply.objects.get().text, first.state, send(customer, "two").state) == ("Grüße", "sent", "refused")
    assert mock.count_messages(PHONE) == 1


def test_lost_answer_is_settled_by_the_statuses(mock, customer, receiver):
    mock.post("settings", fault="drop")
    message = send(customer)

    replay(receiver, 2)

    assert read_outcome(message) == ("delivered", "done", 0)

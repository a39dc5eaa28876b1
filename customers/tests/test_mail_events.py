"""E-mail by the API of a provider (Postmark's, as it is documented), and what becomes of it."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from django.test import Client

from core_apps.messaging.background import queue_message
from core_apps.messaging.models import Consent, Message, Suppression, Wording
from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks
from customers.models import Customer
from customers.tests.factories import make_customer

pytestmark = pytest.mark.django_db
ADDRESS, IDENTIFIER = "ingrid@nordlys.example", "b7bc2f4a-e38e-4336-af7d-e6c392c2f817"
ACCEPTED = {
    "ErrorCode": 0,
    "Message": "OK",
    "MessageID": IDENTIFIER,
    "SubmittedAt": "2026-11-29T12:00:00Z",
    "To": ADDRESS,
}
REFUSED = {"ErrorCode": 300, "Message": f"Invalid 'To' address: '{ADDRESS}'."}
DELIVERED = {
    "RecordType": "Delivery",
    "MessageID": IDENTIFIER,
    "Recipient": ADDRESS,
    "DeliveredAt": "2026-11-29T12:01:00Z",
}
BOUNCE = {"RecordType": "Bounce", "MessageID": IDENTIFIER, "Email": ADDRESS, "BouncedAt": "2026-11-29T12:01:00Z"}
HARD = BOUNCE | {"Type": "HardBounce", "TypeCode": 1, "Description": "The server was unable to deliver your message."}
SOFT = BOUNCE | {"Type": "Transient", "TypeCode": 2, "Description": "Mailbox full."}
COMPLAINT = BOUNCE | {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 512, "Description": "Spam."}


class Provider(BaseHTTPRequestHandler):
    answer: ClassVar[tuple[int, dict[str, Any]]] = (200, ACCEPTED)
    requests: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        self.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status, body = self.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Tests are silent."""


@pytest.fixture(autouse=True)
def provider(settings) -> Iterator[type[Provider]]:
    Provider.requests.clear()
    Provider.answer = (200, ACCEPTED)
    server = HTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {
        "POSTMARK_SERVER_TOKEN": "token",
        "POSTMARK_API_URL": f"http://127.0.0.1:{server.server_port}/",
        "WEBHOOK_SECRET": "postmark:secret",
    }
    yield Provider
    server.shutdown()
    server.server_close()


@pytest.fixture
def customer() -> Customer:
    customer = make_customer(email=ADDRESS)
    wording = Wording.objects.create(purpose="visit", language="en", text="I agree.")
    Consent.objects.create(recipient=customer, wording=wording, method="spoken")
    return customer


def send(customer: Customer, key: str = "one") -> None:
    queue_message(key, recipient=customer, purpose="visit", language="en", subject="Thank you", text="Dear Ingrid")
    run_due_tasks("emails")


def report(event: dict[str, Any], secret: str = "postmark:secret") -> int:
    header = f"Basic {b64encode(secret.encode()).decode()}"
    return (
        Client()
        .post(
            "/anymail/postmark/tracking/",
            json.dumps(event),
            content_type="application/json",
            headers={"Authorization": header},
            secure=True,
        )
        .status_code
    )


def read() -> tuple[str, str, int]:
    message = Message.objects.earliest("pk")
    return message.state, message.error, Suppression.objects.count()


def test_message_leaves_by_the_api_with_its_headers(customer, provider):
    send(customer)

    (sent,) = provider.requests
    assert (sent["To"], sent["Subject"]) == (ADDRESS, "Thank you")
    assert "List-Unsubscribe" in {header["Name"] for header in sent["Headers"]}
    assert Message.objects.get().provider_id == IDENTIFIER
    assert read() == ("sent", "", 0)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([DELIVERED, DELIVERED], ("delivered", "", 0)),
        ([HARD], ("failed", HARD["Description"], 2)),
        ([SOFT], ("sent", "", 0)),
        ([SOFT, DELIVERED], ("delivered", "", 0)),
        ([DELIVERED, COMPLAINT], ("delivered", "", 2)),
        ([DELIVERED | {"MessageID": "of-another-site"}], ("sent", "", 0)),
    ],
)
def test_events_lead_to_the_right_state(customer, events, expected):
    send(customer)

    assert [report(event) for event in events] == [200] * len(events)

    assert read() == expected


def test_bounced_address_gets_nothing_more(customer, provider):
    send(customer)
    report(HARD)

    send(customer, "two")

    assert len(provider.requests) == 1
    assert Message.objects.latest("pk").state == "refused"


@pytest.mark.parametrize("secret", ["postmark:guess", ""])
def test_event_without_the_secret_changes_nothing(customer, secret):
    send(customer)

    assert report(HARD, secret) == 400
    assert read() == ("sent", "", 0)


def test_site_without_a_provider_takes_no_events(customer, settings):
    send(customer)
    settings.ANYMAIL = {"WEBHOOK_SECRET": "only-the-process-knows"}

    assert report(HARD) == 400
    assert read() == ("sent", "", 0)


@pytest.mark.parametrize(
    ("answer", "states"),
    [
        ((422, REFUSED), ("failed", "failed")),
        ((429, {"Message": "Too many"}), ("queued", "queued")),
        ((401, {"Message": "The key is wrong"}), ("queued", "queued")),
        ((503, {}), ("queued", "queued")),
    ],
)
def test_what_the_api_refuses_fails_and_what_is_temporary_is_tried_again(customer, provider, answer, states):
    provider.answer = answer

    send(customer)

    assert (Message.objects.get().state, Task.objects.get(kind="messaging.send").state) == states


def test_message_waits_while_the_api_is_away(customer, settings):
    settings.ANYMAIL |= {"POSTMARK_API_URL": "http://127.0.0.1:9/"}

    send(customer)

    assert (Message.objects.get().state, Task.objects.get(kind="messaging.send").state) == ("queued", "queued")

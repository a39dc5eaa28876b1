"""What WhatsApp reports to the site, in the documented shape."""

import hashlib
import hmac
import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core_apps.messaging.models import Message, Reply, Suppression
from core_apps.messaging.suppression import hash_address, suppress_all
from core_apps.messaging.whatsapp_events import record
from core_apps.tasks.models import Task
from customers.models import Customer
from customers.tests.factories import make_customer

pytestmark = pytest.mark.django_db

PHONE, WAMID = "491713920000", "wamid.HBgMNDkxNzEzOTIwMDAwFQIAERgS"
SECRET = "an-app-secret"
STATES = ("sent", "delivered", "read")


@pytest.fixture(autouse=True)
def _account(settings):
    settings.WHATSAPP_TOKEN = "a-token"
    settings.WHATSAPP_APP_SECRET = SECRET
    settings.WHATSAPP_VERIFY_TOKEN = "a-verify-token"


@pytest.fixture
def customer() -> Customer:
    return make_customer(phone=f"+{PHONE}")


@pytest.fixture
def message(customer) -> Message:
    return make_message(customer)


def make_message(customer: Customer, **values: str) -> Message:
    values = {"state": "sent", "provider_id": WAMID, "key": "one", "subject": "Thank you"} | values
    return Message.objects.create(recipient=customer, channel="whatsapp", purpose="visit", **values)


def build_status(message: Message, state: str, *, code: int = 0, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": WAMID,
        "status": state,
        "timestamp": "1764410400",
        "recipient_id": PHONE,
        "biz_opaque_callback_data": str(message.pk),
        "conversation": {"id": "8d3a1b", "origin": {"type": "utility"}},
        "pricing": {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"},
    }
    if code:
        error = {"code": code, "title": "Message undeliverable", "error_data": {"details": "No WhatsApp."}}
        event["errors"] = [error | {"message": "Message undeliverable", "href": "https://developers.facebook.com/"}]
    return event | changes


def build_reply(text: str = "Hello", **changes: Any) -> dict[str, Any]:
    event = {"from": PHONE, "id": "wamid.1", "timestamp": "1764410400", "type": "text", "text": {"body": text}}
    return event | changes


def build_preference(value: str, at: float) -> dict[str, Any]:
    detail = "User requested to stop marketing messages"
    preference = {"wa_id": PHONE, "detail": detail, "category": "marketing_messages", "value": value}
    return preference | {"timestamp": int(at)}


def build_body(field: str, *events: dict[str, Any]) -> bytes:
    metadata = {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"}
    value = {"messaging_product": "whatsapp", "metadata": metadata, field: list(events)}
    changes = [{"value": value, "field": "user_preferences" if field == "user_preferences" else "messages"}]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "102290", "changes": changes}]}).encode()


def post(body: bytes, *, secret: str = SECRET, **headers: str) -> int:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}"} | headers
    client = Client(enforce_csrf_checks=True)
    return client.post("/whatsapp/", body, "application/json", secure=True, headers=headers).status_code


def read(message: Message) -> tuple[str, str]:
    message.refresh_from_db()
    return message.state, message.error


# The address


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (200, "1158201444")),
        ({"hub.verify_token": "another"}, (403, "The token is not WHATSAPP_VERIFY_TOKEN.\n")),
        ({"hub.mode": "unsubscribe"}, (403, "The token is not WHATSAPP_VERIFY_TOKEN.\n")),
    ],
)
def test_address_is_confirmed_to_who_knows_the_token(changes, expected):
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "a-verify-token"}

    response = Client().get("/whatsapp/", query | changes, secure=True)

    assert (response.status_code, response.text, response["Content-Type"]) == (*expected, "text/plain")


def test_site_without_whatsapp_has_no_address_for_it(settings, message):
    settings.WHATSAPP_TOKEN = ""

    assert (Client().get("/whatsapp/", secure=True).status_code, post(b"{}")) == (404, 404)


@pytest.mark.parametrize("signature", ["", "sha256=", "sha1=abc", "sha256=" + "0" * 64, "sha256=é"])
def test_forged_event_is_refused(signature, message):
    body = build_body("statuses", build_status(message, "read"))

    statuses = [post(body, **{"X-Hub-Signature-256": signature}), post(body, secret="another")]

    assert (statuses, read(message)) == ([403, 403], ("sent", ""))


def test_event_that_was_changed_after_it_was_signed_is_refused(message):
    body = build_body("statuses", build_status(message, "sent"))
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()

    status = post(body.replace(b'"sent"', b'"read"'), **{"X-Hub-Signature-256": f"sha256={signature}"})

    assert (status, read(message)) == (403, ("sent", ""))


@pytest.mark.parametrize(("size", "expected"), [(3 * 2**20, 200), (3 * 2**20 + 1, 413)])
def test_body_has_three_megabytes_at_most(size, expected):
    assert post(b"{}".ljust(size)) == expected


# Statuses


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("sent",), "sent"),
        (("sent", "delivered"), "delivered"),
        (("sent", "delivered", "read"), "read"),
        (("sent", "read"), "read"),  # a device that confirms both at once
        (("read",), "read"),
        (("sent", "failed"), "failed"),
        (("failed", "delivered"), "delivered"),
    ],
)
def test_shuffled_and_repeated_statuses_end_right(statuses, expected, message):
    chance = random.Random(len(statuses))
    states = set()
    for _ in range(150):
        Message.objects.update(state=chance.choice(["sending", "unknown", "sent"]), error="", provider_id="")
        events = [build_status(message, status, code=131026 * (status == "failed")) for status in statuses]
        events += chance.choices(events, k=chance.randrange(3))
        chance.shuffle(events)
        cut = chance.randrange(len(events) + 1)
        for batch in (events[:cut], events[cut:]):
            record(build_body("statuses", *batch))
        states.add(read(message)[0])

    assert states == {expected}


def test_each_state_has_its_time(customer):
    message = make_message(customer, state="sending", provider_id="")

    events = [build_status(message, state, timestamp=f"176441040{n}") for n, state in enumerate(STATES)]
    post(build_body("statuses", *events))

    message.refresh_from_db()
    times = [moment.timestamp() for moment in (message.delivered_at, message.read_at) if moment]
    assert (times, message.finished_at is None) == ([1764410401, 1764410402], False)


def test_failure_says_why(message):
    post(build_body("statuses", build_status(message, "failed", code=131026)))

    assert read(message) == ("failed", "WhatsApp 131026: Message undeliverable: No WhatsApp.")


@pytest.mark.parametrize(
    "changes",
    [
        {"biz_opaque_callback_data": "999999"},
        {"biz_opaque_callback_data": "99999999999999999999999"},
        {"biz_opaque_callback_data": "of another system"},
        {"biz_opaque_callback_data": ""},
        {"id": "wamid.another"},
        {"status": "of a later version"},
    ],
)
def test_status_of_something_else_is_ignored(changes, message):
    assert (post(build_body("statuses", build_status(message, "read", **changes))), read(message)[0]) == (200, "sent")


@pytest.mark.parametrize(
    "changes",
    [{"id": None}, {"id": "x" * 300}, {"timestamp": "9" * 30}, {"timestamp": []}, {"status": {}}, {"errors": 1}],
    ids=lambda changes: str(changes)[:30],
)
def test_event_that_is_not_as_documented_does_not_hold_up_the_others(changes, message):
    strange = build_status(message, "read") | changes
    if "id" in changes:
        Message.objects.update(provider_id="")

    assert post(build_body("statuses", strange, build_status(message, "delivered"))) == 200
    assert read(message)[0] == "delivered"


@pytest.mark.parametrize(
    "entries",
    [
        "[]",
        "null",
        "[null, 5]",
        '[{"changes": {}}]',
        '[{"changes": [{}, {"value": []}]}]',
        '[{"value": {"messages": [1]}}]',
    ],
)
def test_batch_that_is_not_as_documented_is_left_out(entries, message):
    known = build_body("statuses", build_status(message, "delivered")).decode()

    assert post(f'{{"entry": {entries}}}'.encode()) == 200
    assert post(known.replace('"entry": [', f'"entry": [{{"changes": {entries}}}, ').encode()) == 200
    assert read(message)[0] == "delivered"


@pytest.mark.parametrize("body", [b"", b"no JSON", b"\xff", b"[]", b"[" * 100_000], ids=lambda body: str(body)[:9])
def test_body_that_is_not_as_documented_is_left_out(body):
    assert post(body) == 200


def test_message_that_was_not_allowed_stays_so(customer):
    message = make_message(customer, state="refused", provider_id="")

    post(build_body("statuses", build_status(message, "sent")))

    assert read(message)[0] == "refused"


def test_status_settles_what_became_of_an_unknown_message(customer):
    message = make_message(customer, state="unknown", provider_id="")
    task = Task.objects.create(kind="messaging.send_whatsapp", key=f"message:{message.pk}", state="unknown")

    post(build_body("statuses", build_status(message, "delivered")))

    task.refresh_from_db()
    assert (*read(message), message.provider_id, task.state) == ("delivered", "", WAMID, "done")


def test_e_mail_is_not_concerned(message):
    Message.objects.update(channel="email")

    post(build_body("statuses", build_status(message, "read")))

    assert read(message)[0] == "sent"


# People


def test_reply_is_stored_once_and_shown(customer, alice, client_of):
    for _ in range(2):
        post(build_body("messages", build_reply("Where is your stand?")))

    stored = Reply.objects.values_list("recipient", "address", "text", "at__year")
    assert list(stored) == [(customer.pk, f"+{PHONE}", "Where is your stand?", 2025)]
    page = client_of(alice).get(reverse("admin:customers_customer_change", args=[customer.pk]), secure=True)
    assert [entry.note for entry in page.context["timeline"] if entry.kind == "reply"] == ["Where is your stand?"]


@pytest.mark.parametrize(
    "changes",
    [
        {"from": "491713920001"},
        {"type": "image", "image": {"id": "1"}, "from": "491713920001"},
        {"from_user_id": "DE.1349", "from": None},
    ],
)
def test_reply_of_somebody_else_is_not_stored(customer, changes):
    event = {name: value for name, value in build_reply(**changes).items() if value is not None}

    assert (post(build_body("messages", event)), Reply.objects.count()) == (200, 0)


def test_picture_opens_the_window_without_being_stored(customer):
    event = build_reply(type="image", image={"id": "1", "mime_type": "image/jpeg"})
    del event["text"]

    post(build_body("messages", event))

    assert Reply.objects.get().text == ""


@pytest.mark.parametrize(("text", "expected"), [(" Stop ", 2), ("STOPP", 2), ("Stop by our stand!", 0)])
def test_person_who_writes_stop_gets_no_more(customer, text, expected):
    post(build_body("messages", build_reply(text)))

    assert Suppression.objects.filter(digest=hash_address(f"+{PHONE}")).count() == expected


@pytest.mark.parametrize("order", [("stop",), ("stop", "stop"), ("resume", "stop")])
def test_opt_out_suppresses_at_once(customer, order):
    now = timezone.now().timestamp()

    post(build_body("user_preferences", *(build_preference(value, now) for value in order)))

    assert Suppression.objects.filter(digest=hash_address(f"+{PHONE}")).count() == 2


def test_opt_out_can_be_taken_back_by_the_person(customer):
    suppress_all(f"+{PHONE}")
    suppress_all("+491713920001")

    post(build_body("user_preferences", build_preference("resume", timezone.now().timestamp() + 60)))

    assert {row.digest for row in Suppression.objects.all()} == {hash_address("+491713920001")}


def test_older_resumption_does_not_take_an_opt_out_back(customer):
    suppress_all(f"+{PHONE}")

    post(build_body("user_preferences", build_preference("resume", (timezone.now() - timedelta(hours=1)).timestamp())))

    assert Suppression.objects.count() == 2


def test_failure_because_of_an_opt_out_suppresses(message):
    post(build_body("statuses", build_status(message, "failed", code=131050)))

    assert (read(message)[0], Suppression.objects.filter(digest=hash_address(f"+{PHONE}")).count()) == ("failed", 2)

"""What happens to customers, visits and follow-ups is sent to the endpoints that asked for it."""

import base64
import hashlib
import hmac
import json
import socket
import time
from datetime import timedelta
from ipaddress import ip_network
from itertools import chain, repeat

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks
from core_apps.webhooks import sending
from core_apps.webhooks.models import Delivery, Endpoint
from core_apps.webhooks.services import send_again, send_test
from core_apps.webhooks.tests.receivers import run_receiver
from customers.models import Customer
from customers.services.customers import archive_customers
from customers.tests.factories import make_customer, make_follow_up, make_visit

pytestmark = pytest.mark.django_db
EVENTS = [
    f"{name}.{action}" for name in ("customer", "visit", "followup") for action in ("created", "changed", "erased")
]


@pytest.fixture
def receiver(settings):
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    with run_receiver() as server:
        yield server


@pytest.fixture
def endpoint(receiver):
    return Endpoint.objects.create(name="Newsletter", url=receiver.url, events=EVENTS)


def read_events(receiver):
    return [(body["type"], body["data"].get("id")) for body in (json.loads(body) for *_, body in receiver.requests)]


def list_deliveries(*fields):
    return list(Delivery.objects.order_by("created_at").values_list(*fields))


def test_each_way_to_write_is_told_once(endpoint, receiver):
    customer = make_customer()
    archive_customers(Customer.objects.filter(pk=customer.pk))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE customers_customer SET notes = 'by hand'")
        cursor.execute("UPDATE customers_customer SET notes = 'by hand', updated_at = now()")  # changes nothing
    visit = make_visit(customer=make_customer(email="b@nordlys.example"))
    follow_up = make_follow_up(customer=visit.customer)
    follow_up.delete()
    customer.delete()

    run_due_tasks("webhooks")

    key, other = str(customer.public_id), str(visit.customer.public_id)
    assert sorted(read_events(receiver)) == sorted(
        [
            ("customer.created", key),
            ("customer.changed", key),
            ("customer.changed", key),
            ("customer.erased", key),
            ("customer.created", other),
            ("visit.created", str(visit.public_id)),
            ("followup.created", str(follow_up.public_id)),
            ("followup.erased", str(follow_up.public_id)),
        ]
    )
    assert set(list_deliveries("state", "status")) == {("delivered", 204)}


def test_request_is_signed_as_standard_webhooks_says(endpoint, receiver):
    make_customer()

    run_due_tasks("webhooks")

    [(path, headers, body)] = receiver.requests
    [delivery] = Delivery.objects.all()
    content = f"{delivery.pk}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(endpoint.secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    assert (path, headers["webhook-id"]) == ("/hook?from=crm", str(delivery.pk))
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert json.loads(body)["timestamp"] == delivery.created_at.isoformat()


def test_both_secrets_sign_for_a_day_after_a_rotation(endpoint, receiver):
    endpoint.rotate()
    make_customer()
    run_due_tasks("webhooks")
    Endpoint.objects.update(rotated_at=timezone.now() - timedelta(days=1, seconds=1))
    make_customer(email="b@nordlys.example")
    run_due_tasks("webhooks")

    assert [len(headers["webhook-signature"].split()) for _, headers, _ in receiver.requests] == [2, 1]


def test_event_of_a_transaction_that_is_rolled_back_is_not_sent(endpoint, receiver):
    with transaction.atomic():
        make_customer()
        transaction.set_rollback(True)

    run_due_tasks("webhooks")

    assert (receiver.requests, list_deliveries("pk")) == ([], [])


def test_endpoint_is_told_of_its_own_events_alone(endpoint, receiver):
    Endpoint.objects.update(events=["customer.erased"])
    customer = make_customer()
    customer.delete()
    run_due_tasks("webhooks")
    Endpoint.objects.update(state="paused")
    make_customer().delete()
    run_due_tasks("webhooks")

    assert read_events(receiver) == [("customer.erased", str(customer.public_id))]


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500, 503])
def test_refused_event_is_tried_again_under_the_same_id(endpoint, receiver, status):
    receiver.status, receiver.headers = status, {"Location": receiver.url}
    make_customer()

    run_due_tasks("webhooks")
    assert list_deliveries("state", "status") == [("pending", status)]
    assert Task.objects.values_list("state", "error").get() == ("queued", f"HTTP {status}")
    receiver.status = 200
    Task.objects.update(due_at=Now())
    run_due_tasks("webhooks")

    assert list_deliveries("state", "status") == [("delivered", 200)]
    assert len(receiver.requests) == 2
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1


@pytest.mark.parametrize(
    ("start", "more", "state"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "pending"),
        (b"HTTP/1.1 500 Error\r\nx: ", b"x", "pending"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x", "delivered"),
    ],
    ids=["statuses", "headers", "body"],
)
def test_server_that_never_ends_its_answer_is_left(endpoint, receiver, monkeypatch, start, more, state):
    monkeypatch.setattr(sending, "MAX_SECONDS", 1)
    receiver.endless = chain([start], repeat(more))
    make_customer()

    started = time.monotonic()
    run_due_tasks("webhooks")

    assert time.monotonic() - started < sending.TIMEOUT
    assert list_deliveries("state") == [(state,)]


def test_receiver_without_an_answer_does_not_hold_up_the_others(endpoint, receiver, monkeypatch):
    monkeypatch.setattr(sending, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        other = Endpoint.objects.create(name="Silent", url=url, events=EVENTS)
        for number in range(5):
            make_customer(email=f"{number}@nordlys.example")
        run_due_tasks("webhooks")

        assert len(receiver.requests) == 5
        assert other.deliveries.exclude(attempted_at=None).count() == 1
        waiting = Task.objects.filter(state="queued")
        assert sorted(waiting.values_list("attempts", flat=True)) == [0, 0, 0, 0, 1]

    Endpoint.objects.filter(pk=other.pk).update(resting_until=timezone.now(), url=receiver.url)
    Task.objects.update(due_at=Now())
    run_due_tasks("webhooks")

    assert set(list_deliveries("state")) == {("delivered",)}


def test_receiver_that_was_away_for_a_moment_is_tried_again_soon(endpoint, receiver):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    Endpoint.objects.update(url=url)
    make_customer()
    run_due_tasks("webhooks")
    assert list_deliveries("state") == [("pending",)]

    Endpoint.objects.update(url=receiver.url)
    Task.objects.update(due_at=Now())
    run_due_tasks("webhooks")

    assert list_deliveries("state") == [("delivered",)]


def test_address_with_other_letters_is_encoded(endpoint, receiver):
    Endpoint.objects.update(url=receiver.url.replace("/hook", "/anhänge/ü%20?q=ö"))
    send_test([endpoint])

    run_due_tasks("webhooks")

    assert [path for path, *_ in receiver.requests] == ["/anh%C3%A4nge/%C3%BC%20?q=%C3%B6?from=crm"]


def test_server_says_when_to_try_again(endpoint, receiver):
    receiver.status, receiver.headers = 429, {"Retry-After": "600"}
    make_customer()

    run_due_tasks("webhooks")

    delay = Task.objects.get().due_at - timezone.now()
    assert timedelta(seconds=590) < delay <= timedelta(seconds=600)


def test_endpoint_that_is_gone_is_paused(endpoint, receiver):
    receiver.status = 410
    make_customer()

    run_due_tasks("webhooks")

    assert Endpoint.objects.get().state == "paused"


def test_event_for_a_paused_endpoint_fails_and_can_be_sent_again(endpoint, receiver):
    make_customer()
    Endpoint.objects.update(state="paused")

    run_due_tasks("webhooks")
    assert list_deliveries("state", "response") == [("failed", "The webhook is paused.")]
    Endpoint.objects.update(state="active")
    send_again(Delivery.objects.filter(state="failed"))
    run_due_tasks("webhooks")

    assert list_deliveries("state") == [("delivered",)]


def test_endpoint_that_fails_for_five_days_is_paused_and_one_success_forgives(endpoint, receiver):
    receiver.status = 500
    make_customer()
    run_due_tasks("webhooks")
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.failing_since is not None) == ("active", True)
    receiver.status = 200
    Task.objects.update(due_at=Now())
    run_due_tasks("webhooks")
    assert Endpoint.objects.get().failing_since is None

    receiver.status = 500
    Endpoint.objects.update(failing_since=timezone.now() - timedelta(days=5, seconds=1))
    make_customer(email="b@nordlys.example")
    run_due_tasks("webhooks")

    assert Endpoint.objects.get().state == "paused"


def test_failed_events_are_sent_again_by_hand(endpoint, receiver, alice, client_of):
    receiver.status = 500
    make_customer()
    run_due_tasks("webhooks")
    Task.objects.update(attempts=9, due_at=Now())
    run_due_tasks("webhooks")
    assert list_deliveries("state") == [("failed",)]
    receiver.status = 200

    body = {"action": "repeat_failed", "_selected_action": [endpoint.pk]}
    response = client_of(alice).post(reverse("admin:webhooks_endpoint_changelist"), body, secure=True, follow=True)
    run_due_tasks("webhooks")

    assert [str(message) for message in response.context["messages"]] == ["1 delivery is sent."]
    assert list_deliveries("state") == [("delivered",)]
    assert len({headers["webhook-id"] for _, headers, _ in receiver.requests}) == 1


def test_test_event_has_no_subject(endpoint, receiver):
    send_test([endpoint])
    run_due_tasks("webhooks")

    assert read_events(receiver) == [("test", None)]


def test_administrator_adds_an_endpoint_and_sees_its_secret_once(alice, client_of, receiver):
    client = client_of(alice)
    body = {"name": "Newsletter", "url": receiver.url, "events": ["visit.created"]}

    shown = client.post(reverse("admin:webhooks_endpoint_add"), body, secure=True)

    endpoint = Endpoint.objects.get()
    assert endpoint.secret in shown.text
    for page in ("changelist", "change", "history"):
        arguments = [] if page == "changelist" else [endpoint.pk]
        url = reverse(f"admin:webhooks_endpoint_{page}", args=arguments)
        assert endpoint.secret not in client.get(url, secure=True).text


def test_private_address_is_refused_in_the_form(alice, client_of):
    body = {"name": "Inside", "url": "https://169.254.169.254/latest/", "events": ["visit.created"]}

    response = client_of(alice).post(reverse("admin:webhooks_endpoint_add"), body, secure=True)

    assert response.context["adminform"].form.errors == {"url": ["169.254.169.254 is not a public address."]}


@pytest.mark.parametrize("page", ["endpoint_changelist", "endpoint_add", "delivery_changelist"])
def test_webhooks_are_for_administrators(page, member_of, client_of):
    url = reverse(f"admin:webhooks_{page}")

    assert client_of(member_of("Manager")).get(url, secure=True).status_code == 403
    assert client_of(member_of("Administrator")).get(url, secure=True).status_code == 200

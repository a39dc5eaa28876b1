"""Fixtures with the mock of WhatsApp."""

import pytest

from config.local.mock import CREDENTIALS
from config.tests.mock_server import PHONE, Mock, make_friend, run_mock
from core_apps.messaging.models import Wording
from core_apps.webhooks.tests.receivers import run_receiver
from customers.models import Customer


@pytest.fixture(scope="module")
def receiver():
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def server(receiver):
    with run_mock(receiver.url) as mock:
        yield mock


@pytest.fixture
def mock(server: Mock, receiver, settings) -> Mock:
    server.post("reset")
    server.post("settings", delay=0)
    receiver.requests.clear()
    for name, value in CREDENTIALS.items():
        setattr(settings, name, value)
    settings.WHATSAPP_API_URL = server.url
    return server


@pytest.fixture
def wording() -> Wording:
    return Wording.objects.create(purpose="visit", channel="whatsapp", language="en", text="I agree to WhatsApp.")


@pytest.fixture
def customer(wording) -> Customer:
    return make_friend(PHONE, wording)

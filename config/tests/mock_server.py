"""The mock of WhatsApp as a server of its own, for tests."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote, urlencode

from django.utils import timezone

from config.local.defaults import CHECKOUT
from config.local.mock import GUNICORN, build_environment
from config.local.servers import find_free_port
from core_apps.messaging.background import queue_message
from core_apps.messaging.models import Consent, Message, Wording
from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks
from customers.models import Customer
from customers.tests.factories import make_customer

PHONE = "+491713920000"  # reserved for fiction
CSRF = "a" * 32  # the same as a cookie and as a header


class Mock:
    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, **form: object) -> None:
        headers = {"Cookie": f"csrftoken={CSRF}", "X-CSRFToken": CSRF}
        request = urllib.request.Request(f"{self.url}/{quote(path)}", urlencode(form).encode(), headers)
        with urllib.request.urlopen(request, timeout=10):
            pass

    def page(self) -> str:
        with urllib.request.urlopen(self.url, timeout=3) as response:
            return str(response.read().decode())

    def count_messages(self, phone: str) -> int:
        """The number of messages that it shows on this phone, without the person's own."""
        of_phone = self.page().partition(f">{phone}</h2>")[2].partition("</section>")[0]
        return of_phone.count('<li class="template">') + of_phone.count('<li class="text">')


@contextmanager
def run_mock(callback_url: str = "http://127.0.0.1:1/") -> Iterator[Mock]:
    port = find_free_port()
    command = [sys.executable, "-m", *GUNICORN, "--bind", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=build_environment(callback_url)) as process:
        try:
            mock = Mock(f"http://127.0.0.1:{port}")
            wait_for(mock)
            mock.post("reset")
            yield mock
        finally:
            process.terminate()


def wait_for(mock: Mock) -> None:
    for _ in range(100):
        with suppress(OSError):
            mock.page()
            return
        time.sleep(0.05)
    raise TimeoutError(f"The mock does not answer at {mock.url}.")


def make_friend(phone: str, wording: Wording) -> Customer:
    customer = make_customer(phone=phone)
    Consent.objects.create(recipient=customer, wording=wording, method="spoken")
    return customer


def queue(customer: Customer, key: str = "one", **values: str) -> None:
    values = {"template": "visit_thanks", "parameters": "Ingrid\nHarbour Fair", "text": "Dear Ingrid"} | values
    queue_message(key, recipient=customer, channel="whatsapp", purpose="visit", language="en", **values)


def send(customer: Customer, key: str = "one", **values: str) -> Message:
    queue(customer, key, **values)
    run_due_tasks("emails")
    return Message.objects.get(key=key)


def read_outcome(message: Message) -> tuple[str, str, int]:
    """The states of message and task, and in how many seconds it is tried again."""
    message.refresh_from_db()
    task = Task.objects.get(key=f"message:{message.pk}")
    seconds = (task.due_at - timezone.now()).total_seconds()
    return message.state, task.state, round(seconds) if task.state == "queued" else 0

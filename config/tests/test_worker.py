"""A real worker in a process of its own, with a real broker and a real mail server."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.db.models.functions import Now

from config.local.servers import find_free_port
from core_apps.accounts.background import send_password_reset
from core_apps.accounts.models import User
from core_apps.cache.versioned_cache import current_version
from core_apps.operations.tests.collector import run_collector
from core_apps.tasks.models import Task
from core_apps.tasks.running import LEASE, run_due_tasks
from core_apps.tasks.tests.mail_servers import MailServer, run_mail_server
from customers.importing.jobs import run_step
from customers.models import Customer, FileImport

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with run_mail_server() as server:
        yield server


@pytest.fixture
def start_worker(mail_server):
    """Start workers that end with the test."""
    parameters = connection.settings_dict
    user, password, host, port = (parameters[name] for name in ("USER", "PASSWORD", "HOST", "PORT"))
    environment = os.environ | {
        "DATABASE_URL": f"postgresql://{user}:{password}@{host}:{port}/{parameters['NAME']}",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(mail_server.server_address[1]),
        "EMAIL_USE_TLS": "false",
    }
    workers = []

    def start(**changes):
        command = [sys.executable, "-m", "celery", "-A", "config.celery", "worker", "--pool", "solo"]
        worker = subprocess.Popen(command, env=environment | changes, text=True)
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        with worker:
            worker.kill()


def test_worker_serves_its_own_metrics(start_worker):
    port = find_free_port()
    start_worker(METRICS="true", PROBE_PORT=str(port))
    while not (metrics := fetch(f"http://127.0.0.1:{port}/metrics")):
        time.sleep(0.1)

    assert {line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")} == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    }


def test_worker_sends_traces_of_its_tasks(ann, start_worker):
    with run_collector() as collector:
        worker = start_worker(**collector.settings)
        enqueue(1)
        wait_for(lambda: count_done() == 1)
        worker.send_signal(signal.SIGTERM)
        worker.wait()

    spans = [(service, span.name, span.parent_span_id == b"") for service, span in collector.read_spans()]
    assert [span for span in spans if span[2]] == [("worker", "accounts.password_reset", True)]
    assert ("worker", "SELECT", False) in spans


def fetch(url: str) -> str:
    """Return what the URL answers, or nothing while its server starts."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
    except urllib.error.URLError:
        return ""


def enqueue(count: int) -> None:
    for _ in range(count):
        send_password_reset.enqueue(email="ann@example.com", language="en", host="crm.example.com", https=True)


def wait_for(condition, seconds=20) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() < started + seconds
        time.sleep(0.01)
    return time.monotonic() - started


def count_done() -> int:
    return Task.objects.filter(state="done").count()


@pytest.fixture
def ann() -> None:
    User.objects.create_user("ann@example.com", "a harbour full of lamps")


def test_committed_task_wakes_a_worker_at_once(ann, start_worker, mail_server):
    start_worker()
    enqueue(1)
    wait_for(lambda: mail_server.messages)  # it is ready

    seconds = []
    for number in range(2, 12):
        started = time.monotonic()
        enqueue(1)
        wait_for(lambda number=number: len(mail_server.messages) == number)
        seconds.append(time.monotonic() - started)

    print(f"from commit to mail server: {1000 * sorted(seconds)[5]:.0f} ms, at most {1000 * max(seconds):.0f} ms")
    assert sorted(seconds)[5] < 1  # not found by looking every two seconds


def test_mails_share_connections(ann, start_worker, mail_server):
    enqueue(80)

    start_worker()

    wait_for(lambda: count_done() == 80)
    assert len(mail_server.messages) == 80
    assert mail_server.connections <= 6  # 20 mails each, by two threads


def test_worker_finds_tasks_while_the_broker_is_away(ann, start_worker, mail_server):
    enqueue(3)

    start_worker(BROKER_URL="redis://127.0.0.1:1/0")

    wait_for(lambda: len(mail_server.messages) == 3)
    wait_for(lambda: count_done() == 3)


def test_nothing_is_lost_and_repeats_are_the_same_message_when_workers_are_killed(ann, start_worker, mail_server):
    enqueue(150)
    for number in range(1, 4):
        worker = start_worker()
        wait_for(lambda number=number: len(mail_server.messages) >= 40 * number)
        worker.kill()
        worker.wait()
        Task.objects.filter(state="running").update(due_at=Now() - LEASE)  # as time passes
    start_worker()
    wait_for(lambda: count_done() == 150)

    sent = Counter(line for message in mail_server.messages for line in message.splitlines() if "Message-ID" in line)
    print(f"{len(sent)} mails, {sent.total() - len(sent)} repeated")
    assert len(sent) == 150
    assert sent.total() - len(sent) <= 6  # two threads at each kill


def test_workers_leave_cached_responses_valid(ann):
    version = current_version()

    enqueue(1)
    run_due_tasks("emails")
    run_due_tasks("emails")

    assert count_done() == 1
    assert current_version() == version


def test_worker_that_is_stopped_finishes_what_runs_and_begins_nothing(ann, start_worker, mail_server):
    enqueue(500)
    worker = start_worker()
    wait_for(lambda: len(mail_server.messages) >= 20)

    worker.send_signal(signal.SIGTERM)
    seconds = wait_for(lambda: worker.poll() is not None)

    print(f"stopped after {seconds:.1f} s")
    assert worker.returncode == 0
    assert count_done() == len(mail_server.messages) < 500
    assert Task.objects.filter(state="running").count() == 0


def test_import_of_a_killed_worker_is_repeated_and_its_progress_never_goes_back(ann, start_worker, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    rows = "".join(f"Ada{number},Lovelace,ada{number}@many.example\n" for number in range(40_000))
    content = ContentFile(f"First Name,Last Name,E-mail\n{rows}", "people.csv")
    owner = User.objects.get()
    job = FileImport.objects.create(
        owner=owner, file=content, name="people.csv", total=content.size, step="import", state="waiting"
    )
    run_step.enqueue(job=str(job.pk), language="en")
    worker = start_worker(MEDIA_ROOT=str(tmp_path))
    progress = [0]

    def is_past(share: float) -> bool:
        job.refresh_from_db()
        progress.append(job.done)
        return job.done > share * job.total or not job.is_active

    wait_for(lambda: is_past(0.2))
    worker.kill()
    worker.wait()
    assert (job.state, Customer.objects.count()) == ("running", 0)
    Task.objects.filter(state="running").update(due_at=Now() - LEASE)
    start_worker(MEDIA_ROOT=str(tmp_path))
    wait_for(lambda: is_past(0.999) and not job.is_active, 60)

    assert progress == sorted(progress)
    assert (job.state, job.report["created"], Customer.objects.count()) == ("done", 40_000, 40_000)

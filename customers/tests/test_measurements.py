"""Figures of the team for Prometheus."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from core_apps.messaging import measurements as messaging_measurements  # noqa: F401 - declares them
from core_apps.messaging.models import Message
from core_apps.operations import database_measurements  # noqa: F401 - declares them
from core_apps.operations.measurements import MeasurementCollector
from core_apps.tasks.kinds import KINDS
from core_apps.tasks.models import Task
from customers import measurements  # noqa: F401 - declares them
from customers.models import FileImport
from customers.tests.factories import make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


def collect() -> dict[str, float]:
    """The values by name and label."""
    return {
        ".".join((metric.name, *sample.labels.values())): sample.value
        for metric in MeasurementCollector().collect()
        for sample in metric.samples
    }


def test_figures_of_the_team_are_those_of_the_rows():
    now, exhibition = timezone.now(), make_exhibition()
    contacted = make_customer(email="contacted@example.com")
    make_visit(exhibition=exhibition, grade="A", visited_at=now)
    make_visit(
        exhibition=exhibition,
        grade="A",
        visited_at=now - timedelta(days=15),
        customer=make_customer(email="old@example.com"),
    )
    make_visit(exhibition=exhibition, grade="A", visited_at=now - timedelta(days=2), customer=contacted)
    make_follow_up(customer=contacted, due_at=now - timedelta(days=1), completed_at=now)
    make_follow_up(customer=contacted, due_at=now - timedelta(hours=1))

    values = collect()

    assert {name: values[name] for name in ("visits_today", "follow_ups_overdue", "leads_uncontacted")} == {
        "visits_today": 1,
        "follow_ups_overdue": 1,
        "leads_uncontacted": 1,
    }
    make_visit(exhibition=exhibition, visited_at=now, customer=contacted)
    assert collect()["visits_today"] == 1  # for a minute


def test_figures_of_tasks_are_those_of_the_rows():
    due = datetime(2026, 1, 1, tzinfo=UTC)
    Task.objects.create(kind="x", queue="emails", due_at=due)
    Task.objects.create(kind="x", queue="emails", due_at=timezone.now() + timedelta(hours=1))
    Task.objects.create(kind="x", queue="webhooks", state="failed")
    later = timezone.now() + timedelta(hours=1)
    Task.objects.create(kind="x", queue="webhooks", error="refused", due_at=later)
    done = {"queue": "emails", "state": "done"}
    Task.objects.create(kind="messaging.campaigns", key="messaging.campaigns:1", finished_at=timezone.now(), **done)
    Task.objects.create(kind="x", finished_at=timezone.now() - timedelta(minutes=6), **done)

    values = collect()

    assert "messaging.campaigns" in KINDS
    assert {name: value for name, value in values.items() if value and name.startswith("tasks_due.")} == {
        "tasks_due.emails": 1
    }
    assert values["tasks_due_seconds.emails"] == pytest.approx((timezone.now() - due).total_seconds(), abs=60)
    assert (values["tasks_failed.webhooks"], values["tasks_failed.emails"]) == (1, 0)
    assert values["tasks_tick_seconds"] == pytest.approx(0, abs=60)
    assert (values["tasks_retrying.webhooks"], values["tasks_retrying.emails"]) == (1, 0)
    assert values["tasks_done.emails"] == 1
    assert values["database_up"] == 1


def test_figures_of_messages_and_imports_are_those_of_a_day(alice):
    yesterday = timezone.now() - timedelta(hours=25)
    for number, state in enumerate(["sent", "sent", "failed", "sent"]):
        Message.objects.create(recipient=make_customer(), key=str(number), state=state)
    Message.objects.filter(key="3").update(created_at=yesterday)
    FileImport.objects.create(owner=alice, state="done")
    FileImport.objects.create(owner=alice, state="done", created_at=yesterday)

    values = collect()

    names = ("messages.sent", "messages.failed", "messages.read", "imports.done", "imports.failed")
    assert [values[name] for name in names] == [2, 1, 0, 1, 0]


def test_migrations_that_the_database_lacks_are_counted():
    assert collect()["migrations_unapplied"] == 0
    cache.clear()
    MigrationRecorder(connection).record_unapplied("customers", "0001_initial")
    assert collect()["migrations_unapplied"] == 1

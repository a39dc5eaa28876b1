from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from core_apps.tasks.models import Task

pytestmark = pytest.mark.django_db


@pytest.fixture
def tasks():
    """One of each state that matters, the first of them due since an hour."""
    hour_ago = timezone.now() - timedelta(hours=1)
    for state in ("queued", "running", "held", "failed", "done"):
        Task.objects.create(kind="test", queue="emails", state=state, due_at=hour_ago, attempts=3)


def read():
    return list(Task.objects.order_by("created_at").values_list("state", "attempts"))


def test_open_tasks_are_held_and_released(tasks, capsys):
    call_command("hold_tasks")
    assert [state for state, _ in read()] == ["held", "held", "held", "failed", "done"]
    assert capsys.readouterr().out.endswith(": 2\n")

    call_command("release_tasks")
    assert read() == [("queued", 0)] * 3 + [("failed", 3), ("done", 3)]
    assert capsys.readouterr().out == "3 tasks released.\n"


def test_queues_are_listed_with_what_is_due(tasks, capsys):
    call_command("task_queues")

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["queue", "due", "oldest", "later", "running", "held", "failed"]
    assert lines[1][2] in ("3600", "3601")
    assert lines[1][:2] + lines[1][3:] == ["emails", "1", "s", "0", "1", "1", "1"]
    assert lines[2] == ["progress", "0", "-", "0", "0", "0", "0"]
    assert [line[0] for line in lines[3:]] == ["certificates", "webhooks"]

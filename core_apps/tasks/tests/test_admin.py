import pytest
from django.urls import reverse

from core_apps.tasks.models import Task

pytestmark = pytest.mark.django_db
PAGE = reverse("admin:tasks_task_changelist")


def act(client, name):
    tasks = Task.objects.order_by("state")
    body = {"action": name, "_selected_action": [task.pk for task in tasks]}
    response = client.post(PAGE, body, secure=True, follow=True)
    return response.status_code, [str(message) for message in response.context["messages"]]


@pytest.fixture
def tasks():
    return [Task.objects.create(kind="test", queue="emails", state=state) for state in Task.State.values]


@pytest.mark.parametrize(
    ("action", "message", "state", "count"),
    [
        ("repeat", "4 tasks are tried again.", "queued", 5),
        ("cancel", "5 tasks are cancelled.", "cancelled", 6),
    ],
)
def test_administrator_repeats_and_cancels_what_is_not_done(member_of, client_of, tasks, action, message, state, count):
    outcome = act(client_of(member_of("Administrator")), action)

    assert outcome == (200, [message])
    assert Task.objects.filter(state=state).count() == count
    assert Task.objects.get(pk=tasks[2].pk).state == "done"


def test_manager_does_not_see_tasks(member_of, client_of, tasks):
    assert client_of(member_of("Manager")).get(PAGE, secure=True).status_code == 403


def test_task_page_shows_its_error_and_saves_nothing(member_of, client_of, tasks):
    Task.objects.update(error="The mail server refused the login.")
    page = reverse("admin:tasks_task_change", args=[tasks[0].pk])

    response = client_of(member_of("Administrator")).get(page, secure=True)

    assert "The mail server refused the login." in response.text
    assert list(response.context["adminform"].form.fields) == []

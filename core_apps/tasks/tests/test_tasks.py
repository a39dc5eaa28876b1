from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from core_apps.tasks import kinds
from core_apps.tasks.kinds import RejectError, RetryError, UnknownError, task
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.running import LEASE, LeaseLostError, cancel, extend_lease, run_due_tasks, run_next

pytestmark = pytest.mark.django_db
LATER = timedelta(hours=2)


@pytest.fixture
def declare(monkeypatch):
    """Declare a kind of task for one test."""
    monkeypatch.setattr(kinds, "KINDS", {})
    monkeypatch.setattr("core_apps.tasks.running.KINDS", kinds.KINDS)
    return lambda run, **options: task("test", options.pop("queue", Queue.EMAILS), **options)(run)


def read(*fields):
    return list(Task.objects.order_by("created_at").values_list(*fields))


def pass_time(delta):
    """Move all tasks into the past."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tasks_task SET due_at = due_at - %s", [delta])


def test_task_runs_once_with_its_payload(declare):
    done = []
    kind = declare(lambda task, **payload: done.append(payload))

    kind.enqueue(name="Ann", number=1)
    run_due_tasks("emails")
    run_due_tasks("emails")

    assert done == [{"name": "Ann", "number": 1}]
    assert read("state", "attempts", "payload", "error") == [("done", 1, {}, "")]


def test_task_about_something_deleted_fails_at_once(declare):
    kind = declare(lambda task, number: Task.objects.get(priority=number))

    kind.enqueue(number=999)
    run_due_tasks("emails")

    assert read("state", "attempts", "error") == [("failed", 1, "Task matching query does not exist.")]


@pytest.mark.django_db(transaction=True)
def test_task_of_a_transaction_that_is_rolled_back_does_not_exist(declare):
    kind = declare(lambda task: None)

    with transaction.atomic():
        kind.enqueue()
        transaction.set_rollback(True)

    assert read("id") == []


def test_tasks_with_one_key_are_one(declare):
    done = []
    kind = declare(lambda task, number: done.append(number))

    kind.enqueue(key="digest:1:2026-03-01", number=1)
    run_due_tasks("emails")
    kind.enqueue(key="digest:1:2026-03-01", number=2)
    kind.enqueue(key="digest:1:2026-03-02", number=3)
    run_due_tasks("emails")

    assert done == [1, 3]


def test_task_of_the_future_waits(declare):
    done = []
    kind = declare(lambda task: done.append(1))

    kind.enqueue(due_at=timezone.now() + LATER)
    run_due_tasks("emails")
    assert done == []
    pass_time(LATER)
    run_due_tasks("emails")

    assert done == [1]


def test_first_priority_goes_before_older_tasks(declare):
    done = []
    last = task("last", Queue.EMAILS)(lambda task: done.append("last"))
    kind = declare(lambda task: done.append("first"), priority=0)
    kinds.KINDS["last"] = last

    last.enqueue()
    kind.enqueue()
    run_due_tasks("emails")

    assert done == ["first", "last"]


def test_queue_runs_its_own_tasks_alone(declare):
    done = []
    kind = declare(lambda task: done.append(1), queue=Queue.WEBHOOKS)

    kind.enqueue()
    run_due_tasks("emails")
    assert done == []
    run_due_tasks("webhooks")

    assert done == [1]


@pytest.mark.parametrize("error", [RetryError("The server is away."), OSError("refused")])
def test_failure_is_tried_again_after_each_delay_until_the_last(declare, error, caplog):
    def fail(task):
        raise error

    declare(fail, delays=(10, 60)).enqueue()

    for attempts, least, most in ((1, 9, 12), (2, 59, 72)):
        run_due_tasks("emails")
        [(state, count, due_at, reason)] = read("state", "attempts", "due_at", "error")
        assert (state, count, str(error) in reason) == ("queued", attempts, True)
        assert least < (due_at - timezone.now()).total_seconds() <= most
        pass_time(timedelta(seconds=most))
    run_due_tasks("emails")

    assert read("state", "attempts") == [("failed", 3)]


def test_delay_that_a_server_asks_for_is_kept(declare):
    def fail(task):
        raise RetryError("Too many requests.", after=LATER)

    declare(fail).enqueue()
    run_due_tasks("emails")

    [(due_at,)] = read("due_at")
    assert abs(due_at - timezone.now() - LATER) < timedelta(seconds=5)


def test_delay_that_a_server_asks_for_does_not_add_attempts(declare):
    def fail(task):
        raise RetryError("Too many requests.", after=LATER)

    declare(fail, delays=(10,)).enqueue()
    for _ in range(2):
        run_due_tasks("emails")
        pass_time(LATER)

    assert read("state", "attempts") == [("failed", 2)]


def reject(task: Task, number: int) -> None:
    raise RejectError("No such address.")


def break_off(task: Task, number: int) -> None:
    raise OSError("refused")


@pytest.mark.parametrize(("run", "reason"), [(reject, "No such address."), (break_off, "OSError: refused")])
def test_failure_is_reported_once_with_the_payload(declare, run, reason):
    failures = []
    kind = declare(run, delays=(), on_failure=lambda *given, number: failures.append((*given, number)))

    kind.enqueue(number=7)
    run_due_tasks("emails")
    run_due_tasks("emails")

    assert failures == [("failed", reason, 7)]


def test_end_of_each_worker_is_reported_as_a_failure(declare):
    failures: list[tuple[str, str]] = []
    kind = declare(lambda task: None, delays=(10,), on_failure=lambda *given: failures.append(given))
    kind.enqueue()
    for _ in range(2):
        claim_and_die()
        pass_time(LEASE)
    run_due_tasks("emails")

    assert failures == [("failed", "Its worker ended each time it ran.")]


def test_cancelled_task_is_reported_as_a_failure(declare):
    failures: list[tuple[str, str]] = []
    declare(lambda task: None, on_failure=lambda *given: failures.append(given)).enqueue()

    assert (cancel(Task.objects.all()), cancel(Task.objects.all())) == (1, 0)

    assert (failures, read("state")) == ([("cancelled", "Cancelled.")], [("cancelled",)])


def test_rejected_task_is_not_tried_again_and_keeps_its_payload(declare):
    def fail(task, number):
        raise RejectError("No such address.")

    declare(fail).enqueue(number=7)
    run_due_tasks("emails")

    assert read("state", "attempts", "error", "payload") == [("failed", 1, "No such address.", {"number": 7})]


def test_task_of_an_unknown_kind_waits_for_the_version_that_knows_it(declare):
    Task.objects.create(kind="newer", queue="emails")

    run_due_tasks("emails")

    assert read("state", "error") == [("queued", "This version does not know newer.")]


def claim_and_die():
    """As a worker that is killed in the middle of a task."""

    class Killed(BaseException):
        pass

    def die(task):
        raise Killed

    before = kinds.KINDS["test"]
    kinds.KINDS["test"] = task("test", Queue.EMAILS)(die)
    with pytest.raises(Killed):
        run_next("emails")
    kinds.KINDS["test"] = before


def test_task_of_a_killed_worker_is_repeated_after_its_lease(declare):
    done = []
    declare(lambda task: done.append(1)).enqueue()
    claim_and_die()

    run_due_tasks("emails")
    assert (done, read("state")) == ([], [("running",)])
    pass_time(LEASE)
    run_due_tasks("emails")

    assert (done, read("state")) == ([1], [("done",)])


def test_task_that_may_have_been_done_is_unknown_and_reported(declare):
    def give_up(task):
        raise UnknownError("It may have been sent.")

    failures: list[tuple[str, str]] = []
    declare(give_up, on_failure=lambda *given: failures.append(given)).enqueue()
    run_due_tasks("emails")
    run_due_tasks("emails")

    assert (failures, read("state")) == ([("unknown", "It may have been sent.")], [("unknown",)])


def test_task_that_ends_each_worker_fails_at_the_last_attempt(declare):
    declare(lambda task: None, delays=(10,)).enqueue()

    for _ in range(2):
        claim_and_die()
        pass_time(LEASE)
    run_due_tasks("emails")

    assert read("state", "attempts") == [("failed", 3)]


def test_worker_that_lost_its_lease_changes_nothing(declare):
    def lose(task):
        Task.objects.update(attempts=2)  # another worker has claimed it

    declare(lose).enqueue()
    run_due_tasks("emails")

    assert read("state", "attempts", "finished_at") == [("running", 2, None)]


def test_lease_of_a_cancelled_task_cannot_be_extended(declare):
    def cancel_itself(task):
        extend_lease(task)
        Task.objects.update(state=Task.State.CANCELLED)
        extend_lease(task)

    declare(cancel_itself).enqueue()
    run_due_tasks("emails")

    assert read("state", "error") == [("cancelled", "")]
    with pytest.raises(LeaseLostError):
        extend_lease(Task.objects.get())


@pytest.mark.django_db(transaction=True)
def test_inline_task_runs_in_the_request(declare, settings):
    settings.TASKS_FORCE_INLINE = True
    done = []

    declare(lambda task: done.append(1)).enqueue()

    assert done == [1]

"""Runs tasks: claims a row for the time of a lease, runs it, and records the outcome.

If the worker is killed, the lease ends and another worker claims the row. All times are those of the database.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.db.models.functions import Now

from core_apps.tasks.kinds import KINDS, Kind, PostponeError, RejectError, RetryError, UnknownError
from core_apps.tasks.models import Task, TaskQuerySet

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)  # longer than any task takes, or it calls extend_lease
MAX_ERROR_LENGTH = 500  # characters
UNKNOWN_KIND = timedelta(minutes=1)
# Entered for each task, with the name of its kind; core_apps/operations/traces.py sets another one.
surround: Callable[[str], AbstractContextManager[Any]] = nullcontext
# Several workers claim at the same time: each takes the first row that no other one has locked. The commit does not
# wait for the disk: if PostgreSQL's machine fails, the task is queued again, as it would be when its lease ends.
CLAIM = """
WITH next AS (
  SELECT id, state FROM tasks_task
  WHERE queue = %s AND state IN ('queued', 'running') AND due_at <= statement_timestamp()
  ORDER BY priority, due_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE tasks_task SET state = 'running', attempts = attempts + 1, due_at = statement_timestamp() + %s
FROM next, (SELECT set_config('synchronous_commit', 'off', true)) AS unflushed WHERE tasks_task.id = next.id
RETURNING tasks_task.*, next.state AS previous_state
"""
# Not by the ORM, which takes as long to build it as PostgreSQL to run it. A task that is done needs no payload; one
# that has failed may be repeated.
FINISH = """
UPDATE tasks_task SET state = %(state)s, error = %(error)s, finished_at = statement_timestamp(),
  payload = CASE %(state)s WHEN 'done' THEN '{}' ELSE payload END
WHERE id = %(id)s AND state = 'running' AND attempts = %(attempts)s
"""


class LeaseLostError(Exception):
    """Raised to end a task that is no longer this worker's to do."""


def run_due_tasks(queue: str) -> None:
    while run_next(queue):
        pass


def run_next(queue: str) -> bool:
    """Run the first due task of the queue; return whether there was one."""
    claimed = list(Task.objects.raw(CLAIM, [queue, LEASE]))
    for task in claimed:
        run(task, was_interrupted=task.previous_state == Task.State.RUNNING)  # type: ignore[attr-defined]
    return bool(claimed)


def run(task: Task, *, was_interrupted: bool) -> None:
    kind = KINDS.get(task.kind)
    if kind is None:  # of a newer version, during a deploy
        postpone(task, UNKNOWN_KIND, f"This version does not know {task.kind}.")
    elif was_interrupted and task.attempts > len(kind.delays) + 1:
        end(task, Task.State.FAILED, "Its worker ended each time it ran.")
    else:
        run_kind(kind, task)


def run_kind(kind: Kind, task: Task) -> None:
    try:
        with surround(kind.name):
            kind.run(task, **task.payload)
    except LeaseLostError as error:
        logger.warning("%s", error)
    except (RejectError, ObjectDoesNotExist) as error:  # the latter: what it is about was deleted
        end(task, Task.State.FAILED, str(error))
    except UnknownError as error:
        end(task, Task.State.UNKNOWN, str(error))
    except PostponeError as error:
        postpone(task, error.after, str(error), attempts=task.attempts - 1)
    except RetryError as error:
        retry(kind, task, str(error), error.after)
    except Exception as error:
        logger.exception("%s failed", task)
        retry(kind, task, f"{type(error).__name__}: {error}")
    else:
        finish(task, Task.State.DONE)


def extend_lease(task: Task) -> None:
    """Raises LeaseLostError if another worker has claimed the task, or somebody has cancelled it."""
    if not claimed_row(task).update(due_at=Now() + LEASE):
        raise LeaseLostError(f"{task} is no longer this worker's")


def finish(task: Task, state: Task.State, error: str = "") -> bool:
    """Return whether the task was still this worker's."""
    with connection.cursor() as cursor:
        cursor.execute(
            FINISH, {"state": state, "error": error[:MAX_ERROR_LENGTH], "id": task.pk, "attempts": task.attempts}
        )
        return bool(cursor.rowcount)


@transaction.atomic
def end(task: Task, state: Task.State, error: str) -> None:
    """End a task that was not done, and tell what waits for it."""
    if finish(task, state, error):
        report_failure(task, state, error)


@transaction.atomic
def cancel(tasks: TaskQuerySet, reason: str = "Cancelled.") -> int:
    """Cancel those that are not finished, and return their number."""
    unfinished = list(tasks.exclude(state__in=Task.FINISHED).select_for_update())
    rows = Task.objects.filter(pk__in=[task.pk for task in unfinished])
    rows.update(state=Task.State.CANCELLED, finished_at=Now())
    for task in unfinished:
        report_failure(task, Task.State.CANCELLED, reason)
    return len(unfinished)


def report_failure(task: Task, state: Task.State, error: str) -> None:
    kind = KINDS.get(task.kind)
    if kind and kind.on_failure:
        kind.on_failure(state, error, **task.payload)


def retry(kind: Kind, task: Task, error: str, after: timedelta | None = None) -> None:
    """Try again later, after this time or the kind's own delay; after the last attempt, the task has failed."""
    delay = kind.get_delay(task.attempts)
    if delay is None:
        logger.error("%s has failed: %s", task, error)
        end(task, Task.State.FAILED, error)
    else:
        postpone(task, after or delay, error)


def postpone(task: Task, delay: timedelta, error: str, **values: int) -> None:
    claimed_row(task).update(state=Task.State.QUEUED, error=error[:MAX_ERROR_LENGTH], due_at=Now() + delay, **values)


def claimed_row(task: Task) -> TaskQuerySet:
    """The row, as long as no other worker has claimed it."""
    return Task.objects.filter(pk=task.pk, state=Task.State.RUNNING, attempts=task.attempts)

"""Kinds of background tasks: what runs, in which queue, and when it is tried again.

A kind is declared in the module `background` of an app:

    @task("accounts.password_reset", Queue.EMAILS)
    def send_password_reset(task: Task, *, email: str) -> None: ...

and `send_password_reset.enqueue(email=…)` in a transaction adds a row, which exists only if the transaction commits.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from core_apps.tasks.models import Queue, Task
from core_apps.tasks.waking import wake_workers

# Seconds before each further attempt; after the last one, the task has failed.
DELAYS = (10, 60, 300, 1800, 7200, 21_600, 43_200)
JITTER = 0.2  # so that what failed together is not tried together
KINDS: dict[str, "Kind"] = {}


class RetryError(Exception):
    """The task could not be done now. With `after`, it is tried again then."""

    def __init__(self, reason: str, after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = after


class PostponeError(Exception):
    """The task was not tried, which is no attempt, and is to be tried after this time."""

    def __init__(self, reason: str, after: timedelta) -> None:
        super().__init__(reason)
        self.after = after


class RejectError(Exception):
    """The task cannot be done, however often it is tried."""


class UnknownError(Exception):
    """The task may have been done, and must not be repeated unless somebody says so."""


@dataclass(frozen=True)
class Kind:
    name: str
    queue: Queue
    run: Callable[..., None]
    delays: tuple[int, ...]
    priority: int
    on_failure: Callable[..., None] | None

    def enqueue(self, *, key: str | None = None, due_at: datetime | None = None, **payload: Any) -> None:
        """Add a task, unless there has been one with this key; it runs once the transaction has committed."""
        self.enqueue_many([(key, due_at, payload)])

    def enqueue_many(self, rows: Iterable[tuple[str | None, datetime | None, dict[str, Any]]]) -> None:
        """Add tasks, each with its key, due time and payload, as `enqueue` does."""
        tasks = [self.build(key, due_at, payload) for key, due_at, payload in rows]
        Task.objects.bulk_create(tasks, batch_size=1000, ignore_conflicts=True)
        transaction.on_commit(partial(wake_workers, self.queue))

    def build(self, key: str | None, due_at: datetime | None, payload: dict[str, Any]) -> Task:
        task = Task(kind=self.name, queue=self.queue, payload=payload, key=key, priority=self.priority)
        if due_at:
            task.due_at = due_at
        return task

    def count_open(self) -> int:
        """The number of tasks of this kind that wait or run."""
        return Task.objects.open().filter(kind=self.name).count()

    def get_delay(self, attempts: int) -> timedelta | None:
        """The time until the next attempt after so many; None if there is none."""
        if attempts > len(self.delays):
            return None
        return timedelta(seconds=self.delays[attempts - 1] * random.uniform(1, 1 + JITTER))  # noqa: S311


def task(
    name: str,
    queue: Queue,
    *,
    delays: tuple[int, ...] = DELAYS,
    priority: int = 1,
    on_failure: Callable[..., None] | None = None,
) -> Callable[[Callable[..., None]], Kind]:
    """Declare a kind of task; the function gets the Task and the payload's values as keyword arguments.

    `on_failure` gets the state, the reason and the payload when the task has failed for good, was cancelled, or ended
    as unknown.
    """

    def declare(function: Callable[..., None]) -> Kind:
        KINDS[name] = Kind(name, queue, function, delays, priority, on_failure)
        return KINDS[name]

    return declare

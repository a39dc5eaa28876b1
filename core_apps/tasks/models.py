"""Work outside of requests: one row says what must be done, and remains until it is done.

Celery only wakes a worker. It may lose a message, and Redis may lose all of them: workers look for rows anyway.
"""

import uuid
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from core_apps.common.visibility import VisibleToAll


class Queue(models.TextChoices):
    EMAILS = "emails", _("E-mails")
    PROGRESS = "progress", _("Imports and exports")
    CERTIFICATES = "certificates", _("Certificates")
    WEBHOOKS = "webhooks", _("Webhooks")


class TaskQuerySet(VisibleToAll["Task"]):
    def open(self) -> Self:
        return self.filter(state__in=Task.OPEN)


class Task(models.Model):
    """The kind names the function in core_apps/tasks/kinds.py, the payload its arguments: ids, rather than data."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        UNKNOWN = "unknown", _("Unknown")  # it may have been done
        HELD = "held", _("Held")  # after a restore, until somebody releases it
        CANCELLED = "cancelled", _("Cancelled")

    OPEN = (State.QUEUED, State.RUNNING)
    FINISHED = (State.DONE, State.CANCELLED)
    REPEATABLE = (State.FAILED, State.UNKNOWN, State.HELD, State.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=60)
    queue = models.CharField(_("queue"), max_length=20, choices=Queue)
    payload = models.JSONField(_("payload"), default=dict)
    # At most one task has it: one e-mail for one visit, one digest a day.
    key = models.CharField(_("key"), max_length=200, unique=True, null=True)  # noqa: DJ001 - NULL is not unique
    priority = models.PositiveSmallIntegerField(_("priority"), default=1)  # lower ones first
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    # When a worker may claim it; for a running task, when the lease of its worker ends.
    due_at = models.DateTimeField(_("due"), db_default=Now())
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.TextField(_("error"), blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True)

    objects: ClassVar[TaskQuerySet] = TaskQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("background task")
        verbose_name_plural = _("background tasks")
        indexes = (
            models.Index(
                fields=("queue", "priority", "due_at"),
                name="tasks_open",
                condition=Q(state__in=("queued", "running")),
            ),
            models.Index(fields=("-created_at",), name="tasks_newest"),
            models.Index(fields=("finished_at",), name="tasks_finished", condition=Q(state="done")),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

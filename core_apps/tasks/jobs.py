"""Tasks that somebody watches: a row says how far each is, and its page follows it."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import connection, models
from django.db.models.functions import Greatest, Now
from django.utils.translation import gettext_lazy as _

from core_apps.tasks.models import Task
from core_apps.tasks.running import LeaseLostError, extend_lease

REPORT_SECONDS = 1


class JobCancelledError(Exception):
    """Raised to end a job that its owner has cancelled."""


class JobQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Self:
        return self.filter(owner=user.pk)


class Job(models.Model):
    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    ACTIVE = (State.WAITING, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("owner"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING)
    done = models.PositiveBigIntegerField(_("done"), default=0)
    total = models.PositiveBigIntegerField(_("total"), default=0)
    error = models.TextField(_("error"), blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    objects: ClassVar[JobQuerySet] = JobQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        abstract = True

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    def update(self, **values: Any) -> None:
        """Set the values, in the database as well. Raises JobCancelledError."""
        active = type(self)._default_manager.filter(pk=self.pk, state__in=self.ACTIVE)
        if not active.update(**values):
            raise JobCancelledError(f"{self} was cancelled")
        for name, value in values.items():
            setattr(self, name, value)


@contextmanager
def watch(job: Job, task: Task) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with the amount done; it raises JobCancelledError, and LeaseLostError.

    A thread with a connection of its own writes the amount each second, so that others see it while the job is in a
    transaction, and extends the lease of the task.
    """
    job.update(state=Job.State.RUNNING)
    reporter = Reporter(job, task)
    reporter.start()
    try:
        yield reporter.set_done
    finally:
        reporter.stop()


class Reporter(threading.Thread):
    def __init__(self, job: Job, task: Task) -> None:
        super().__init__(name="progress", daemon=True)
        self.job, self.task = job, task
        self.done = 0
        self.stopping = threading.Event()
        self.error: Exception | None = None

    def set_done(self, amount: int) -> None:
        self.done = amount
        if self.error:
            raise self.error

    def stop(self) -> None:
        self.stopping.set()
        self.join()

    def run(self) -> None:
        try:
            while not self.stopping.wait(REPORT_SECONDS):
                self.report()
        except (JobCancelledError, LeaseLostError) as error:
            self.error = error
        finally:
            connection.close()

    def report(self) -> None:
        extend_lease(self.task)
        # Greatest, because a job that is repeated begins again.
        rows = type(self.job)._default_manager.filter(pk=self.job.pk, state__in=Job.ACTIVE)
        if not rows.update(done=Greatest("done", self.done)):
            raise JobCancelledError(f"{self.job} was cancelled")

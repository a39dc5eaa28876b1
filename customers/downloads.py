"""Files that take long to make: a worker does it, while their owner follows the progress."""

from collections.abc import Callable
from typing import IO, Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from core_apps.common.time_zones import get_zone
from core_apps.media.photos.fields import delete_files
from core_apps.tasks.jobs import Job, JobCancelledError, watch
from core_apps.tasks.kinds import Kind, RejectError
from core_apps.tasks.models import Task
from core_apps.tasks.running import extend_lease
from customers.models import Download

MAX_ACTIVE = 3  # of a person
DELAYS = (5, 10, 20, 60, 300)

# Writes the file, and calls the function with the amount done.
Write = Callable[[Download, IO[bytes], Callable[[int], None]], None]


class TooManyDownloadsError(Exception):
    """The person waits for MAX_ACTIVE files already."""


@transaction.atomic
def start(kind: Kind, owner: Any, name: str, **payload: Any) -> Download:
    """Have the task make the file. Raises TooManyDownloadsError."""
    if Download.objects.filter(owner=owner, state__in=Job.ACTIVE).count() >= MAX_ACTIVE:
        raise TooManyDownloadsError
    download = Download.objects.create(owner=owner, name=name)
    kind.enqueue(job=str(download.pk), language=get_language(), **payload)
    return download


def record_failure(_state: Task.State, error: str, *, job: str, **_payload: Any) -> None:
    Download.objects.filter(pk=job, state__in=Job.ACTIVE).update(state=Job.State.FAILED, error=error)


def make_file(task: Task, job: str, language: str, write: Write) -> None:
    """Have `write` make the file in the language and time zone of its owner. A RejectError is shown to them."""
    download = Download.objects.filter(pk=job).select_related("owner").first()
    if download is None or download.state == Job.State.DONE:
        return
    download.delete_files()  # of an attempt that was killed
    zone = get_zone(download.owner.time_zone, settings.TIME_ZONE)
    if download.is_active:
        with override(language), timezone.override(zone):
            write_file(download, task, write)


def write_file(download: Download, task: Task, write: Write) -> None:
    """The row names the file once it is complete, so that nobody gets a part of one."""
    name = default_storage.save(download.build_file_name(task.attempts), ContentFile(b""))  # makes the folder
    try:
        with watch(download, task) as progress, default_storage.open(name, "wb") as file:
            if not download.owner.is_active:
                raise RejectError(_("This account is not active any more."))
            write(download, file, progress)
        extend_lease(task)  # unless another worker has begun again
        download.update(state=Job.State.DONE, done=download.total, file=name)
    except BaseException as error:
        delete_files(default_storage, [name])
        if not isinstance(error, JobCancelledError):
            raise

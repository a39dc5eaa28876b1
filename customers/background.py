from datetime import timedelta

from django.db.models.functions import Now

from core_apps.tasks.kinds import task
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.periodic import repeat
from customers import certificates, digest, thank_you  # noqa: F401 - declare their tasks
from customers.admin import export_job  # noqa: F401 - declares its task
from customers.importing import jobs  # noqa: F401 - declares its task
from customers.models import Download, FileImport
from customers.models.download import KEEP as KEEP_DOWNLOADS

KEEP = timedelta(days=7)


@task("customers.delete_old_imports", Queue.PROGRESS)
def delete_old_imports(_task: Task) -> None:
    """Delete uploaded files and reports, which contain personal data; the history keeps what was imported."""
    FileImport.objects.filter(created_at__lt=Now() - KEEP).delete()


repeat(delete_old_imports, every=timedelta(days=1))


@task("customers.delete_old_downloads", Queue.PROGRESS)
def delete_old_downloads(_task: Task) -> None:
    """Delete them with their files, in which those still are whose data was deleted meanwhile."""
    Download.objects.filter(created_at__lt=Now() - KEEP_DOWNLOADS).delete()


repeat(delete_old_downloads, every=timedelta(minutes=15))

from datetime import timedelta

from django.db.models.functions import Now

from core_apps.tasks.kinds import task
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.periodic import repeat

KEEP = timedelta(days=30)
BATCH = 5000


@task("tasks.delete_old", Queue.PROGRESS)
def delete_old_tasks(_task: Task) -> None:
    """Delete what was done long ago, in batches so that no statement takes long."""
    old = Task.objects.filter(state=Task.State.DONE, finished_at__lt=Now() - KEEP)
    while Task.objects.filter(pk__in=old.values("pk")[:BATCH]).delete()[0]:
        pass


repeat(delete_old_tasks, every=timedelta(days=1))

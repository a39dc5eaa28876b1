from typing import Any

from django.core.management.base import BaseCommand
from django.db.models.functions import Now

from core_apps.tasks.models import Task


class Command(BaseCommand):
    help = "Let the tasks run that a restore has held, because some of them may have been done since the backup."

    def handle(self, **_options: Any) -> None:
        held = Task.objects.filter(state=Task.State.HELD)
        count = held.update(state=Task.State.QUEUED, due_at=Now(), attempts=0)
        self.stdout.write(f"{count} tasks released.")

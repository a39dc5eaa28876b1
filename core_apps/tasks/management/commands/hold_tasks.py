from typing import Any

from django.core.management.base import BaseCommand

from core_apps.tasks.models import Task


class Command(BaseCommand):
    help = "Hold the open tasks of a backup before a worker sees them, because some may have been done since."

    def handle(self, **_options: Any) -> None:
        count = Task.objects.open().update(state=Task.State.HELD)
        self.stdout.write(f"Tasks on hold, as some may have been done since the backup: {count}")

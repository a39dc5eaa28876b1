from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection

from core_apps.tasks.models import Queue

WAITING = """
SELECT queue, count(*) FILTER (WHERE state = 'queued' AND due_at <= now()),
  max(now() - due_at) FILTER (WHERE state = 'queued' AND due_at <= now()),
  count(*) FILTER (WHERE state = 'queued' AND due_at > now()), count(*) FILTER (WHERE state = 'running'),
  count(*) FILTER (WHERE state = 'held'), count(*) FILTER (WHERE state IN ('failed', 'unknown'))
FROM tasks_task WHERE state NOT IN ('done', 'cancelled') GROUP BY queue
"""
HEADER = ("queue", "due", "oldest", "later", "running", "held", "failed")


class Command(BaseCommand):
    help = "Print how many tasks of each queue are due, since when, and how many run or have failed."

    def handle(self, **_options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            rows = {queue: figures for queue, *figures in cursor.fetchall()}
        self.write(HEADER)
        for queue in Queue.values:
            due, oldest, *others = rows.get(queue, (0, None, 0, 0, 0, 0))
            self.write((queue, due, f"{oldest.total_seconds():.0f} s" if oldest else "-", *others))

    def write(self, words: Any) -> None:
        self.stdout.write("".join(f"{word!s:14}" for word in words).rstrip())

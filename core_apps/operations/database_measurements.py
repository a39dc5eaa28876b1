from functools import cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from core_apps.operations.measurements import measure
from core_apps.tasks.models import Queue
from core_apps.tasks.periodic import PERIODIC

SINCE_TICK = """
SELECT extract(epoch FROM now() - created_at) FROM tasks_task WHERE kind = %s ORDER BY created_at DESC LIMIT 1
"""


def read_by_queue(expression: str, condition: str) -> dict[str, float]:
    sql = f"SELECT queue, {expression} FROM tasks_task WHERE {condition} GROUP BY queue"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return dict.fromkeys(Queue.values, 0.0) | {queue: float(value) for queue, value in cursor.fetchall()}


@measure("tasks_due", "Tasks that a worker could run", label="queue")
def count_due() -> dict[str, float]:
    return read_by_queue("count(*)", "state = 'queued' AND due_at <= now()")


@measure("tasks_due_seconds", "Time for which the first of them has been due", label="queue")
def get_age() -> dict[str, float]:
    return read_by_queue("extract(epoch FROM max(now() - due_at))", "state = 'queued' AND due_at <= now()")


@measure("tasks_retrying", "Tasks that wait for another attempt after an error", label="queue")
def count_retrying() -> dict[str, float]:
    return read_by_queue("count(*)", "state = 'queued' AND error <> ''")


@measure("tasks_done", "Tasks that were done within five minutes", label="queue")
def count_done() -> dict[str, float]:
    return read_by_queue("count(*)", "state = 'done' AND finished_at > now() - interval '5 minutes'")


@measure("tasks_failed", "Tasks that wait for somebody to try them again", label="queue")
def count_failed() -> dict[str, float]:
    return read_by_queue("count(*)", "state IN ('failed', 'unknown')")


@measure("tasks_tick_seconds", "Time since Celery beat has added the most frequent periodic task")
def get_time_since_tick() -> dict[str, float]:
    most_frequent = min(PERIODIC, key=lambda periodic: periodic.every)
    with connection.cursor() as cursor:
        cursor.execute(SINCE_TICK, [most_frequent.kind.name])
        row = cursor.fetchone()
    return {"": float(row[0])} if row else {}


@cache
def load_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).disk_migrations)


@measure("migrations_unapplied", "Migrations of this version that the database lacks")
def count_unapplied() -> dict[str, float]:
    applied = MigrationRecorder(connection).applied_migrations()
    return {"": len(load_migrations() - set(applied))}

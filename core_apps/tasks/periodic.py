"""Tasks that recur. Celery beat asks every minute; the key of a task makes it run once per period.

So two beats, or a clock that is wrong, do no harm: periods are counted by the clock of the database.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction

from core_apps.tasks.kinds import Kind


@dataclass(frozen=True)
class Periodic:
    kind: Kind
    every: timedelta


PERIODIC: list[Periodic] = []


def repeat(kind: Kind, *, every: timedelta) -> None:
    """Enqueue the task once in each period, counted from midnight UTC on 1 January 1970."""
    PERIODIC.append(Periodic(kind, every))


@transaction.atomic
def enqueue_periodic() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM statement_timestamp())")
        now = int(cursor.fetchone()[0])
    for periodic in PERIODIC:
        number = now // int(periodic.every.total_seconds())
        periodic.kind.enqueue(key=f"{periodic.kind.name}:{number}")

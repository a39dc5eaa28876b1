"""How many rows there are, at a price that does not grow with them."""

import json
from math import log10
from typing import Any

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext

MOST_COUNTED = 10_000
SURELY = 3  # how many times the most that is counted an estimate must be, so that nobody counts
DIGITS = 2  # of an estimate; what follows is chance


class Count(int):
    """A number of rows that reads as it was found out."""

    is_exact = True

    def __str__(self) -> str:
        return number_format(int(self), force_grouping=True)


class CappedCount(Count):
    """So many were seen, and then nobody counted on."""

    is_exact = False

    def __str__(self) -> str:
        return gettext("%(number)s+") % {"number": super().__str__()}


class EstimatedCount(Count):
    is_exact = False

    def __str__(self) -> str:
        return gettext("about %(number)s") % {"number": super().__str__()}


def capped_count(queryset: QuerySet[Any], most: int = MOST_COUNTED) -> Count:
    """Counted, unless the planner is sure that there are more.

    Keep the order: by it an index offers itself, where any rows would do PostgreSQL reads the table.
    """
    if planned_rows(queryset) > SURELY * most:
        return CappedCount(most)
    number = queryset.select_related(None).values("pk")[: most + 1].count()
    return Count(number) if number <= most else CappedCount(most)


def estimated_count(queryset: QuerySet[Any]) -> Count:
    """The planner's estimate; few rows are counted, and so are those that statistics have not seen yet."""
    rows = planned_rows(queryset)
    if rows < MOST_COUNTED:
        return capped_count(queryset)
    return EstimatedCount(round(rows, DIGITS - 1 - int(log10(rows))))


def planned_rows(queryset: QuerySet[Any]) -> int:
    plan = json.loads(queryset.order_by().select_related(None).values("pk").explain(format="json"))
    return int(plan[0]["Plan"]["Plan Rows"])

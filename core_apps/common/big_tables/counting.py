"""How many rows there are, at a price that does not grow with them."""

from contextlib import nullcontext
from math import log10
from typing import Any

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext

from core_apps.common.planner import no_sequential_scan, planned_rows

MOST_COUNTED = 10_000
# How many times too high or too low an estimate may be: words that exclude each other, or come together, mislead it.
SURELY = 10
DIGITS = 2  # of an estimate; what follows is chance


class Count(int):
    """A number of rows that reads as it was found out."""

    def __str__(self) -> str:
        return number_format(int(self), force_grouping=True)


class CappedCount(Count):
    """So many were seen, and then nobody counted on."""

    def __str__(self) -> str:
        return gettext("%(number)s+") % {"number": super().__str__()}


class EstimatedCount(Count):
    def __str__(self) -> str:
        return gettext("about %(number)s") % {"number": super().__str__()}


def capped(number: int, most: int = MOST_COUNTED) -> Count:
    return Count(number) if number <= most else CappedCount(most)


def capped_count(queryset: QuerySet[Any], most: int = MOST_COUNTED, planned: int | None = None) -> Count:
    """Counted, unless the planner is sure that there are many more."""
    planned = planned_rows(queryset) if planned is None else planned
    if planned > SURELY * most:
        return CappedCount(most)
    # Where few are expected, the LIMIT is out of sight and misleads nobody.
    with nullcontext() if planned <= most else no_sequential_scan():
        return capped(queryset.order_by().values("pk")[: most + 1].count(), most)


def estimated_count(queryset: QuerySet[Any]) -> Count:
    """The planner's estimate; few rows are counted, and so are those that statistics have not seen yet."""
    rows = planned_rows(queryset)
    if rows < MOST_COUNTED:
        return capped_count(queryset, planned=rows)
    return estimate(rows)


def estimate(rows: int) -> EstimatedCount:
    return EstimatedCount(round(rows, DIGITS - 1 - int(log10(max(1, rows)))))

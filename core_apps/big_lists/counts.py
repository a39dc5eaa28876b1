"""Counts of rows with an upper limit."""

from typing import Any

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext

MAX_COUNTED = 10_000


class Count(int):
    """A number of rows, formatted for a page."""

    def __str__(self) -> str:
        return number_format(int(self), force_grouping=True)


class CappedCount(Count):
    """A limit that the number of rows exceeds."""

    def __str__(self) -> str:
        return gettext("%(number)s+") % {"number": super().__str__()}


def capped_count(queryset: QuerySet[Any], most: int | None = None) -> Count:
    most = MAX_COUNTED if most is None else most
    number = queryset.order_by().values("pk")[: most + 1].count()
    return Count(number) if number <= most else CappedCount(most)

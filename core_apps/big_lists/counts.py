"""How many rows there are, counted no further than anybody reads."""

from typing import Any

from django.db.models import QuerySet
from django.utils.formats import number_format
from django.utils.translation import gettext

MOST_COUNTED = 10_000


class Count(int):
    """A number of rows, as a page shows it."""

    def __str__(self) -> str:
        return number_format(int(self), force_grouping=True)


class CappedCount(Count):
    """There are more."""

    def __str__(self) -> str:
        return gettext("%(number)s+") % {"number": super().__str__()}


def capped_count(queryset: QuerySet[Any], most: int | None = None) -> Count:
    most = MOST_COUNTED if most is None else most
    number = queryset.order_by().values("pk")[: most + 1].count()
    return Count(number) if number <= most else CappedCount(most)

"""A page of a narrowed list, and how many rows it has, by whichever way is short."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import QuerySet

from core_apps.common.big_tables.counting import (
    MOST_COUNTED,
    SURELY,
    CappedCount,
    Count,
    count_of,
    estimate,
    estimated_count,
)
from core_apps.common.big_tables.paging import Complete, Keyset, KeysetPage, Ordering, OutOfReachError, as_one_row
from core_apps.common.planner import Plan, no_sequential_scan, plan_of

REACH = 20_000  # rows of the table that a page of a long list may lie apart
MOST_COST = 12_000  # in the planner's units, about 30 ms: what it may cost to list all rows for their exact number


def found(
    queryset: QuerySet[Any], ordering: Ordering, size: int, complete: Complete, cursor: str, *, is_narrowed: bool
) -> tuple[Count, KeysetPage]:
    """The page that the cursor names, of so many rows; `is_narrowed` says that it is not the whole table.

    Few rows are listed, which counts and sorts them. Where there are many, or listing them costs much, an index of the
    order is leafed through; should the page not be near, for the planner takes words for independent of each other
    and rows for evenly spread, the rows are found and sorted after all.
    """
    if not is_narrowed:
        return estimated_count(queryset), Keyset(queryset, ordering, size, complete, is_short=False).page(cursor)
    queryset = queryset.order_by(*ordering)
    plan, make = plan_of(queryset), partial(Keyset, queryset, ordering, size, complete)
    if page := near_page(queryset, plan, make, cursor):
        return many(plan.rows), page
    with no_sequential_scan():
        keys = list(as_one_row(queryset, ordering).values_list("pk", flat=True)[: MOST_COUNTED + 1])
    count = count_of(keys, MOST_COUNTED)
    return count, make(is_short=True, keys=count.keys).page(cursor)


def near_page(queryset: QuerySet[Any], plan: Plan, make: Callable[..., Keyset], cursor: str) -> KeysetPage | None:
    """By an index of the order; None where few rows are expected, and where the page is not near."""
    if plan.rows <= MOST_COUNTED and plan.cost <= MOST_COST:
        return None
    try:
        return make(is_short=False, reach=getattr(queryset, "reach", REACH)).page(cursor)
    except OutOfReachError:
        return None


def is_sortable(plan: Plan) -> bool:
    return plan.rows <= SURELY * MOST_COUNTED


def many(planned: int) -> Count:
    return CappedCount(MOST_COUNTED) if planned > 2 * MOST_COUNTED else estimate(planned)

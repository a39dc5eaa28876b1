"""A page of a narrowed list, and how many rows it has, by whichever way is short."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from django.db.models import QuerySet

from core_apps.common.big_tables.counting import (
    MOST_COUNTED,
    SURELY,
    CappedCount,
    Count,
    capped,
    estimate,
    estimated_count,
)
from core_apps.common.big_tables.paging import (
    Complete,
    CountedKeyset,
    Keyset,
    KeysetPage,
    Ordering,
    OutOfReachError,
)
from core_apps.common.planner import Plan, no_sequential_scan, plan_of

REACH = 20_000  # rows of the table that a page of a long list may lie apart
FARTHEST = 5 * REACH  # where the first rows that were found say that so many are enough
# What it may cost to visit all rows, in the planner's units: about 30 ms for their exact number, 10 for a page alone.
MOST_COST, LITTLE_COST = 12_000, 4_000


def found(
    queryset: QuerySet[Any], ordering: Ordering, size: int, complete: Complete, cursor: str, *, is_narrowed: bool
) -> tuple[Count, KeysetPage]:
    """The page that the cursor names, of so many rows; `is_narrowed` says that it is not the whole table.

    Few rows are visited, counted and sorted in one go. Where there are many, or visiting them costs much, an index of
    the order is leafed through; should the page not be near, for the planner takes words for independent of each
    other and rows for evenly spread, the rows are found and sorted after all.
    """
    if not is_narrowed:
        return estimated_count(queryset), Keyset(queryset, ordering, size, complete, is_short=False).page(cursor)
    queryset = queryset.order_by(*ordering)
    plan, make = plan_of(queryset), partial(Keyset, queryset, ordering, size, complete)
    if page := near_page(queryset, plan, make, cursor, MOST_COST):
        return many(plan.rows), page
    keyset = CountedKeyset(queryset, ordering, size, complete, is_short=True)
    with no_sequential_scan():
        page = keyset.page(cursor)
    return capped(keyset.count), page


def found_page(queryset: QuerySet[Any], ordering: Ordering, make: Callable[..., Keyset], cursor: str) -> KeysetPage:
    """The page alone, in the same ways, for those who need no number."""
    if not queryset.query.where:
        return make(is_short=False).page(cursor)
    plan = plan_of(queryset.order_by(*ordering))
    return near_page(queryset, plan, make, cursor, LITTLE_COST) or make(is_short=is_sortable(plan)).page(cursor)


def near_page(
    queryset: QuerySet[Any], plan: Plan, make: Callable[..., Keyset], cursor: str, most_cost: int
) -> KeysetPage | None:
    """By an index of the order; None where to visit all rows costs little, and where the page is not near."""
    if plan.rows <= MOST_COUNTED and plan.cost <= most_cost:
        return None
    reach = getattr(queryset, "reach", REACH)
    try:
        return make(is_short=False, reach=reach).page(cursor)
    except OutOfReachError as error:
        reach = error.reach
    with suppress(OutOfReachError):
        return make(is_short=False, reach=reach).page(cursor) if reach <= FARTHEST else None
    return None


def is_sortable(plan: Plan) -> bool:
    return plan.rows <= SURELY * MOST_COUNTED


def many(planned: int) -> Count:
    return CappedCount(MOST_COUNTED) if planned > 2 * MOST_COUNTED else estimate(planned)

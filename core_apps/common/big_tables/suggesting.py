"""Pages of an autocomplete: they tell whether there is a next one, and there are not many."""

from functools import partial
from typing import Any

from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import QuerySet

from core_apps.common.big_tables.finding import found_page
from core_apps.common.big_tables.paging import Keyset

MOST_PAGES = 10  # whoever scrolls on should type another letter


class SuggestionPaginator(Paginator):  # type: ignore[type-arg]
    """Of a queryset in an order that an index has."""

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
        if not 1 <= int(number) <= MOST_PAGES:
            raise InvalidPage
        first, end = self.per_page * (int(number) - 1), self.per_page * int(number)
        queryset: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        ordering = [str(name) for name in queryset.query.order_by]
        # With all that names them.
        make = partial(Keyset, queryset, ordering, end, lambda rows: rows.select_related())
        found = found_page(queryset, ordering, make, "")
        self.count = len(found.rows) + bool(found.next)
        return Page(found.rows[first:], int(number), self)

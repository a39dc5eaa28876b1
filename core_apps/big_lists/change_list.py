from functools import partial
from typing import Any

from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.db.models import QuerySet
from django.http import HttpRequest

from core_apps.big_lists.pagination import LAST, Keyset, Ordering, reverse
from core_apps.common.change_list import StrictChangeList


class BigChangeList(StrictChangeList):
    """A change list with keyset pagination."""

    model_admin: Any  # a BigTableAdmin

    def get_chosen_column(self) -> tuple[str, bool]:
        """The column to sort by and whether to reverse its order; by default the first of `list_sorting`."""
        sortings = self.model_admin.list_sorting
        chosen = self.params.get(ORDER_VAR, "").partition(".")[0]
        number = chosen.removeprefix("-")
        columns = {str(place): name for place, name in enumerate(self.list_display)}
        column = columns.get(number, "")
        if column not in sortings:
            return next(iter(sortings)), False
        return str(column), chosen.startswith("-") != sortings[column][0].startswith("-")

    def get_sorting(self) -> Ordering:
        column, is_reversed = self.get_chosen_column()
        ordering: Ordering = self.model_admin.list_sorting[column]
        return reverse(ordering) if is_reversed else ordering

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[str]:  # type: ignore[override]
        return list(self.get_sorting())

    def get_ordering_field_columns(self) -> dict[int, str]:  # type: ignore[override]
        column, _ = self.get_chosen_column()
        direction = "desc" if self.get_sorting()[0].startswith("-") else "asc"
        return {number: direction for number, name in enumerate(self.list_display) if name == column}

    def get_results(self, request: HttpRequest) -> None:
        is_restricted = bool(self.root_queryset.query.where)
        load = partial(self.load_related, request)
        keyset = Keyset(self.queryset, self.get_sorting(), self.list_per_page, load, is_restricted=is_restricted)
        self.result_count, self.page = keyset.count, keyset.page(request.GET.get(PAGE_VAR, ""))
        self.result_list = self.page.rows
        # The search form links to all rows only if something narrows them.
        has_narrowed = bool(self.query or self.get_filters_params())
        self.show_full_result_count, self.full_result_count = False, None if has_narrowed else self.result_count
        self.show_admin_actions = True
        self.can_show_all, self.multi_page, self.paginator = False, False, None

    def load_related(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return self.apply_select_related(self.model_admin.load_related(request, rows))

    def get_page_links(self) -> list[tuple[str, str | None]]:
        """Names of page links for the template, and their URLs; None if there is no such page."""
        is_first, is_last = self.page.previous is None, self.page.next is None
        cursors = {
            "first": None if is_first else "",
            "previous": self.page.previous,
            "next": self.page.next,
            "last": None if is_last else LAST,
        }
        return [(name, None if cursor is None else self.page_address(cursor)) for name, cursor in cursors.items()]

    def page_address(self, cursor: str) -> str:
        return self.get_query_string({PAGE_VAR: cursor or None})

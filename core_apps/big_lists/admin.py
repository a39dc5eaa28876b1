"""An admin for large tables: the cost of a page does not grow with the table."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Field, QuerySet
from django.http import HttpRequest

from core_apps.big_lists.change_list import BigChangeList
from core_apps.big_lists.deletion import Deletion, delete_selected
from core_apps.big_lists.optimistic_locking import OptimisticLocking
from core_apps.big_lists.pagination import Ordering, SuggestionPaginator
from core_apps.common.visibility import VisibleRows

Sortings = dict[str, tuple[str, ...]]


class VisibleRelations(VisibleRows):
    """Shows only rows visible to the user, and autocompletes relations."""

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """All relations, because a <select> would load the whole table."""
        opts = self.opts  # type: ignore[attr-defined]
        fields: list[Field[Any, Any]] = [*opts.fields, *opts.many_to_many]
        return tuple(field.name for field in fields if field.remote_field and field.name != opts.pk.name)


class BigTableAdmin(OptimisticLocking, VisibleRelations, admin.ModelAdmin):  # type: ignore[type-arg]
    """The base of all admins. The model's QuerySet has `visible_to(user)`, and may have `matching(text)`."""

    # Sortable columns of list_display and their order, the default first. An index of the model backs each; its fields
    # are not NULL, have one direction and end with "pk".
    list_sorting: ClassVar[Sortings] = {}
    # Filters without options in the sidebar, for links from other pages: "company__id__exact".
    link_filters: tuple[str, ...] = ()

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each needs a count
    change_list_template = "big_lists/change_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BigChangeList

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        return list(self.list_sorting)

    def get_ordering(self, request: HttpRequest) -> Ordering:  # type: ignore[override]
        return next(iter(self.list_sorting.values()))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if "delete_selected" in actions:
            actions["delete_selected"] = (delete_selected, *actions["delete_selected"][1:])
        return actions

    def load_related(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Override to annotate or prefetch what the columns show, for the rows of one page."""
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        matching = getattr(queryset, "matching", None)
        if not matching:
            return super().get_search_results(request, queryset, search_term)
        return (matching(search_term) if search_term.strip() else queryset), False

    def get_paginator(  # type: ignore[override]
        self, request: HttpRequest, queryset: Any, per_page: int, **options: Any
    ) -> Paginator:  # type: ignore[type-arg]
        """Only for autocomplete and the history: lists have no numbered pages."""
        paginator = SuggestionPaginator if queryset.model is self.model else Paginator
        return paginator(queryset, per_page)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allows only filters with an index; Django would allow any local column."""
        offered = [getattr(entry, "parameter_name", entry) for entry in self.list_filter]
        return lookup in self.link_filters or lookup.startswith(tuple(map(str, offered)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[Any]]:
        return Deletion(self.admin_site, request).collect_all(self.model, [row.pk for row in objs])


class BigTableInline(VisibleRelations, admin.TabularInline):  # type: ignore[type-arg]
    """Inline rows of a large table."""

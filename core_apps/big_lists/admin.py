"""An admin for tables of any size: what a page costs does not grow with the table."""

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
    """Rows that are visible to the person, and relations that are searched for."""

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Every relation: a list of options is as long as its table."""
        opts = self.opts  # type: ignore[attr-defined]
        fields: list[Field[Any, Any]] = [*opts.fields, *opts.many_to_many]
        return tuple(field.name for field in fields if field.remote_field and field.name != opts.pk.name)


class BigTableAdmin(OptimisticLocking, VisibleRelations, admin.ModelAdmin):  # type: ignore[type-arg]
    """What every list has in common. Its model's QuerySet has `visible_to(user)`, and may have `matching(text)`."""

    # What a person can sort by: a column of list_display and the order that it means, the first one from the start.
    # An index of the model backs each; none of its fields is NULL, all go in one direction, the last is "pk".
    list_sorting: ClassVar[Sortings] = {}
    # Filters that no list of options offers, for links from other pages: "company__id__exact".
    link_filters: tuple[str, ...] = ()

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would be a count
    change_list_template = "big_lists/change_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BigChangeList

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        return list(self.list_sorting)

    def get_ordering(self, request: HttpRequest) -> Ordering:  # type: ignore[override]
        return next(iter(self.list_sorting.values()))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        offered: dict[str, Any] = super().get_actions(request)
        if "delete_selected" in offered:
            offered["delete_selected"] = (delete_selected, *offered["delete_selected"][1:])
        return offered

    def complete_rows(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of one page, for subclasses to annotate and prefetch what its columns show."""
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
        """For autocomplete alone: lists have no numbered pages, and a history is short."""
        paginator = SuggestionPaginator if queryset.model is self.model else Paginator
        return paginator(queryset, per_page)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what has an index; the admin would filter by any column that an address names."""
        offered = [getattr(entry, "parameter_name", entry) for entry in self.list_filter]
        return lookup in self.link_filters or lookup.startswith(tuple(map(str, offered)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[Any]]:
        return Deletion(self.admin_site, request).of(self.model, [row.pk for row in objs])


class BigTableInline(VisibleRelations, admin.TabularInline):  # type: ignore[type-arg]
    """Rows of a big table in the form of another."""

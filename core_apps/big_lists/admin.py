"""An admin for large tables: the cost of a page does not grow with the table."""

from contextlib import suppress
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import DateTimeField, Field, QuerySet
from django.http import HttpRequest

from core_apps.big_lists.change_list import BigChangeList
from core_apps.big_lists.deletion import Deletion, delete_selected
from core_apps.big_lists.moments import MomentField, MomentWidget
from core_apps.big_lists.optimistic_locking import OptimisticLocking
from core_apps.big_lists.pagination import Ordering, SuggestionPaginator
from core_apps.common.visibility import VisibleRows, is_key
from core_apps.history.admin import HistoryPage

Sortings = dict[str, tuple[str, ...]]


class ChosenKeys:
    """For a widget of Django that fails to show a value that is no key, instead of the error about it."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        pk = self.field.remote_field.model._meta.pk  # type: ignore[attr-defined]
        return super().optgroups(name, [one for one in value if is_key(pk, one)], attr)  # type: ignore[misc]


class MultipleAutocomplete(ChosenKeys, AutocompleteSelectMultiple):
    pass


class BlankAutocomplete(ChosenKeys, AutocompleteSelect):
    """Has an empty choice with a text, which HTML requires; nobody sees it, because select2 shows its placeholder."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        groups: Any = super().optgroups(name, value, attr)
        options = groups[0][1]
        blank = self.create_option(name, "", "---------", False, 0)
        options[:] = [blank, *(option for option in options if option["value"] != "")]
        return groups


class VisibleRelations(VisibleRows):
    """Shows only rows visible to the user, and autocompletes relations."""

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """All relations, because a <select> would load the whole table."""
        opts = self.opts  # type: ignore[attr-defined]
        fields: list[Field[Any, Any]] = [*opts.fields, *opts.many_to_many]
        return tuple(field.name for field in fields if field.remote_field and field.name != opts.pk.name)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("widget", BlankAutocomplete(db_field, self.admin_site))  # type: ignore[attr-defined]
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("widget", MultipleAutocomplete(db_field, self.admin_site))  # type: ignore[attr-defined]
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


class BigTableAdmin(OptimisticLocking, VisibleRelations, HistoryPage):
    """The base of all admins. The model's QuerySet has `visible_to(user)`, and may have `matching(text)`."""

    # Sortable columns of list_display and their order, the default first. An index of the model backs each; its fields
    # are not NULL, have one direction and end with "pk".
    list_sorting: ClassVar[Sortings] = {}
    # Filters without options in the sidebar, for links from other pages: "company__id__exact".
    link_filters: tuple[str, ...] = ()

    formfield_overrides: ClassVar = {DateTimeField: {"form_class": MomentField, "widget": MomentWidget}}
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each needs a count
    change_list_template = "big_lists/change_list.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BigChangeList

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field:
            # Django gives that hidden input `aria-describedby`, which HTML forbids there.
            field.show_hidden_initial = False
        return field

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        return list(self.list_sorting)

    def get_ordering(self, request: HttpRequest) -> Ordering:  # type: ignore[override]
        return next(iter(self.list_sorting.values()))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if "delete_selected" in actions:
            actions["delete_selected"] = (delete_selected, *actions["delete_selected"][1:])
        return actions

    def load_related(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
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

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Return the values of the query string that the form accepts; Django would fail to show others."""
        values, initial = super().get_changeform_initial_data(request), {}
        fields = self.get_form(request).base_fields if values else {}
        for name, value in values.items():
            with suppress(KeyError, ValidationError):
                initial[name] = clean_initial(fields[name], value)
        return initial

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allows only filters with an index; Django would allow any local column."""
        filters = [entry[0] if isinstance(entry, tuple) else entry for entry in self.list_filter]
        offered = [getattr(entry, "parameter_name", entry) for entry in filters]
        return lookup in self.link_filters or lookup.startswith(tuple(map(str, offered)))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], Any, set[str], list[Any]]:
        return Deletion(self.admin_site, request).collect_all(self.model, [row.pk for row in objs])


def clean_initial(field: forms.Field, value: Any) -> Any:
    """Raises ValidationError. A date without a time means midnight."""
    if isinstance(field, forms.SplitDateTimeField):
        date, _, time = value.replace("T", " ").partition(" ")
        value = [date, time or "00:00"]
    return field.prepare_value(field.clean(value))


class BigTableInline(VisibleRelations, admin.TabularInline):  # type: ignore[type-arg]
    """Inline rows of a large table."""

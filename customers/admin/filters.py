"""List filters with at most one query and a limited number of choices."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from customers.models import Customer, Exhibition, FollowUp, Tag, Visit

Lookups = list[tuple[Any, Any]]


class DefaultFilter(admin.SimpleListFilter):
    """Filters the list by its first choice by default."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        first, *others = super().choices(changelist)
        del first  # Django's own «All»
        chosen = self.value() or self.lookup_choices[0][0]
        for (value, _label), choice in zip(self.lookup_choices, others, strict=True):
            yield choice | {"selected": value == chosen}


class ArchivedFilter(DefaultFilter):
    title = _("archive")
    parameter_name = "archived"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return [("no", _("Current")), ("yes", _("Archived")), ("all", _("All"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer]:
        match self.value():
            case "all":
                pass
            case "yes":
                queryset = queryset.archived()
            case _:
                queryset = queryset.current()
        return queryset  # type: ignore[no-any-return]


class StateFilter(DefaultFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return [
            ("open", _("Open")),
            ("mine", _("Mine")),
            ("overdue", _("Overdue")),
            ("unassigned", _("Unassigned")),
            ("completed", _("Completed")),
            ("all", _("All")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[FollowUp]:
        match self.value():
            case "mine":
                queryset = queryset.open().assigned_to(request.user)
            case "overdue":
                queryset = queryset.overdue_at(timezone.now())
            case "unassigned":
                queryset = queryset.unassigned()
            case "completed":
                queryset = queryset.completed()
            case "all":
                pass
            case _:
                queryset = queryset.open()
        return queryset  # type: ignore[no-any-return]


class OwnerFilter(admin.SimpleListFilter):
    title = _("owner")
    parameter_name = "owned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return [("me", _("Mine")), ("nobody", _("No owner"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer]:
        match self.value():
            case "me":
                queryset = queryset.owned_by(request.user)
            case "nobody":
                queryset = queryset.unowned()
        return queryset  # type: ignore[no-any-return]


class TagFilter(admin.SimpleListFilter):
    """Offers the first tags by name."""

    title = _("tag")
    parameter_name = "tag"
    max_tags = 20

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return list(Tag.objects.values_list("pk", "name")[: self.max_tags])

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer]:
        number = self.value() or ""
        return queryset.tagged_with(int(number)) if number.isdecimal() else queryset  # type: ignore[no-any-return]


class RecentExhibitionFilter(admin.SimpleListFilter):
    """Offers the ten latest exhibitions."""

    title = _("exhibition")
    parameter_name = "exhibition"
    max_exhibitions = 10

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        exhibitions = Exhibition.objects.visible_to(request.user).started_before(timezone.now())[: self.max_exhibitions]
        return [(exhibition.pk, str(exhibition)) for exhibition in exhibitions]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer] | QuerySet[Visit]:
        number = self.value() or ""
        exhibition = Exhibition.objects.filter(pk=number).first() if number.isdecimal() else None
        return queryset.met_at(exhibition) if exhibition else queryset  # type: ignore[no-any-return]

"""Filters that cost one query at most, however many rows they could offer."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from customers.models import Customer, Exhibition, Visit

Lookups = list[tuple[Any, str]]


class OwnerFilter(admin.SimpleListFilter):
    title = "owner"
    parameter_name = "owned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return [("me", "Mine"), ("nobody", "Nobody's")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer]:
        match self.value():
            case "me":
                queryset = queryset.owned_by(request.user)
            case "nobody":
                queryset = queryset.unowned()
        return queryset  # type: ignore[no-any-return]


class RecentExhibitionFilter(admin.SimpleListFilter):
    """The ten exhibitions that opened last; older ones are found by search."""

    title = "exhibition"
    parameter_name = "exhibition"
    newest = 10

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        opened = Exhibition.objects.opened_by(timezone.now())[: self.newest]
        return [(exhibition.pk, str(exhibition)) for exhibition in opened]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer] | QuerySet[Visit]:
        number = self.value() or ""
        exhibition = Exhibition.objects.filter(pk=number).first() if number.isdecimal() else None
        return queryset.met_at(exhibition) if exhibition else queryset  # type: ignore[no-any-return]

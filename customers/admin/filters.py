"""List filters with at most one query and a limited number of choices."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core_apps.accounts.models import User
from customers.models import Customer, Exhibition, FollowUp, Tag, Visit
from customers.querysets import is_contacted

Lookups = list[tuple[Any, Any]]


def parse_key(text: str | None) -> int:
    """Return the primary key in a query string; 0, which no row has, if it is not one of a bigint column."""
    return int(text) if text and text.isdecimal() and len(text) < 19 else 0


def parse_day(values: Any) -> date | None:
    """Return the day of a time in a query string; raises ValueError."""
    return date.fromisoformat(values[-1][:10]) if values else None


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
    """Filters customers by owner, and visits by the owner of their customer; offers the first colleagues by name."""

    title = _("owner")
    parameter_name = "owned"
    max_colleagues = 20

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        colleagues = User.objects.filter(is_active=True).exclude(pk=request.user.pk or 0).order_by("name", "email")
        named = [(colleague.pk, str(colleague)) for colleague in colleagues[: self.max_colleagues]]
        return [("me", _("Mine")), ("nobody", _("No owner")), *named]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer] | QuerySet[Visit]:
        own = Customer.objects.order_by()
        match self.value():
            case "me":
                own = own.owned_by(request.user)  # type: ignore[arg-type]
            case "nobody":
                own = own.unowned()
            case key if number := parse_key(key):
                own = own.filter(owner=number)
            case _:
                return queryset  # type: ignore[no-any-return]
        return queryset.filter(**{"customer__in" if queryset.model is Visit else "pk__in": own.values("pk")})  # type: ignore[no-any-return]


class TagFilter(admin.SimpleListFilter):
    """Offers the first tags by name."""

    title = _("tag")
    parameter_name = "tag"
    max_tags = 20

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return list(Tag.objects.values_list("pk", "name")[: self.max_tags])

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer]:
        number = parse_key(self.value())
        return queryset.tagged_with(number) if number else queryset  # type: ignore[no-any-return]


class LocalDayFilter(admin.DateFieldListFilter):
    """Filters visits by the days that the list shows, which are those of each exhibition's time zone."""

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Visit]:
        names = (self.lookup_kwarg_since, self.lookup_kwarg_until)
        try:
            days = [parse_day(self.used_parameters.get(name)) for name in names]
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        return queryset.met_between(*days) if any(days) else queryset  # type: ignore[no-any-return]


class LeadFilter(admin.SimpleListFilter):
    """Filters visits, or customers by a visit that meets the conditions of all these filters."""

    parameter_name: str

    @classmethod
    def build_condition(cls, value: str) -> Any:
        """Return None for a value that is none of the choices."""
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer] | QuerySet[Visit]:
        kinds = [type(self)] if queryset.model is Visit else LEAD_FILTERS
        values = [(kind, request.GET.get(kind.parameter_name, "")) for kind in kinds]
        conditions = [one for kind, value in values if (one := kind.build_condition(value)) is not None]
        # Of customers, one filter applies the conditions of all.
        if not conditions or type(self) is not kinds[0]:
            return queryset  # type: ignore[no-any-return]
        if queryset.model is Visit:
            return queryset.filter(*conditions)  # type: ignore[no-any-return]
        return queryset.met(Visit.objects.visible_to(request.user).filter(*conditions))  # type: ignore[no-any-return]


class GradeFilter(LeadFilter):
    title = _("grade")
    parameter_name = "grade"
    none = "none"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return [*Visit.Grade.choices, (self.none, _("Not graded"))]

    @classmethod
    def build_condition(cls, value: str) -> Any:
        return Q(grade=value.replace(cls.none, "")) if value in (*Visit.Grade.values, cls.none) else None


class ContactFilter(LeadFilter):
    title = _("contact since the visit")
    parameter_name = "contacted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return [("no", _("Not yet contacted")), ("yes", _("Contacted"))]

    @classmethod
    def build_condition(cls, value: str) -> Any:
        return {"yes": is_contacted(), "no": ~is_contacted()}.get(value)


class RecentExhibitionFilter(LeadFilter):
    """Offers the ten latest exhibitions."""

    title = _("exhibition")
    parameter_name = "exhibition"
    max_exhibitions = 10

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        exhibitions = Exhibition.objects.visible_to(request.user).started_before(timezone.now())[: self.max_exhibitions]
        return [(exhibition.pk, str(exhibition)) for exhibition in exhibitions]

    @classmethod
    def build_condition(cls, value: str) -> Any:
        key = parse_key(value)
        return Q(exhibition=key) if key else None


LEAD_FILTERS: list[type[LeadFilter]] = [GradeFilter, ContactFilter, RecentExhibitionFilter]

"""The filters of the lists, each supported by an index."""

from datetime import datetime
from typing import Any, ClassVar

import django_filters as filters
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EMPTY_VALUES
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from django.utils.translation import gettext_lazy as _
from django_countries import countries
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from core_apps.api.parameters import TEXT
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit
from customers.querysets import is_contacted

OF_VISITS = ("exhibition", "grade", "contacted")
CONTACTED = "a visit after which somebody completed a follow-up of the customer (true), or nobody has (false)."


@extend_schema_field(TEXT)
class TextFilter(filters.CharFilter):
    """Any text that is not blank."""


@extend_schema_field(OpenApiTypes.BOOL)
class YesOrNoFilter(filters.TypedChoiceFilter):
    """Unlike BooleanFilter, rejects other words, which would return everything."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=[("true", "true"), ("false", "false")], coerce="true".__eq__, **options)


class MomentField(forms.DateTimeField):
    default_error_messages: ClassVar = {
        "invalid": _("Write a time with its offset from UTC: 2026-11-29T15:35:00Z. Encode a plus sign.")
    }

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            moment = parse_datetime(value)
        except ValueError:  # such as 30 February
            moment = None
        if moment is None or is_naive(moment):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return moment


@extend_schema_field(OpenApiTypes.DATETIME)
class MomentFilter(filters.DateTimeFilter):
    """A time with its offset from UTC."""

    field_class = MomentField


@extend_schema_field({"$ref": "#/components/schemas/CountryEnum"})
class CountryFilter(filters.ChoiceFilter):
    """Filter by code; the schema lists the codes once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=countries, **options)


class ExhibitionFilter(filters.FilterSet):
    country = CountryFilter()
    industry = TextFilter()
    open = YesOrNoFilter(method="filter_open", label="Open today in its own time zone.")
    starts_after = filters.DateFilter(field_name="starts_on", lookup_expr="gte")
    starts_before = filters.DateFilter(field_name="starts_on", lookup_expr="lte")

    class Meta:
        model = Exhibition
        fields = ()

    def filter_open(self, rows: Any, _name: str, is_open: bool) -> QuerySet[Exhibition]:
        on_today = Q(pk__in=Exhibition.objects.open_at(timezone.now()).order_by().values("pk"))
        return rows.filter(on_today if is_open else ~on_today)  # type: ignore[no-any-return]


class CompanyFilter(filters.FilterSet):
    country = CountryFilter()
    industry = TextFilter()
    domain = TextFilter(method="filter_domain", label="The complete web domain.")

    class Meta:
        model = Company
        fields = ()

    def filter_domain(self, rows: Any, _name: str, domain: str) -> QuerySet[Company]:
        return rows.filter(domain=domain.lower())  # type: ignore[no-any-return]


class CustomerFilter(filters.FilterSet):
    country = CountryFilter()
    email = TextFilter(method="filter_email", label="The complete address.")
    company = filters.UUIDFilter(field_name="company__public_id")
    owner = TextFilter(field_name="owner__email", label="A colleague's e-mail address.")
    exhibition = filters.UUIDFilter(label="Customers met at this exhibition.")
    grade = filters.ChoiceFilter(choices=Visit.Grade.choices, label="Customers with a visit of this grade.")
    contacted = YesOrNoFilter(label=f"Customers with {CONTACTED} With `exhibition` and `grade`: the same visit.")
    tag = TextFilter(method="filter_tag", label="The name of a tag.")
    archived = YesOrNoFilter(field_name="archived_at", lookup_expr="isnull", exclude=True)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Customer
        fields: ClassVar = ["stage", "source"]

    def filter_email(self, rows: Any, _name: str, email: str) -> QuerySet[Customer]:
        return rows.filter(email=email.lower())  # type: ignore[no-any-return]

    def filter_queryset(self, queryset: Any) -> QuerySet[Customer]:
        data: Any = self.data
        asked = {name: data[name] for name in OF_VISITS if self.form.cleaned_data.pop(name) not in EMPTY_VALUES}
        rows: Any = super().filter_queryset(queryset)
        if not asked:
            return rows  # type: ignore[no-any-return]
        visits = Visit.objects.visible_to(self.request.user)  # type: ignore[union-attr]
        return rows.met(VisitFilter(asked, visits).qs)  # type: ignore[no-any-return]

    def filter_tag(self, rows: Any, _name: str, name: str) -> QuerySet[Customer]:
        tag = Tag.objects.filter(name__iexact=name).first()
        return rows.tagged_with(tag.pk) if tag else rows.none()  # type: ignore[no-any-return]


class VisitFilter(filters.FilterSet):
    customer = filters.UUIDFilter(field_name="customer__public_id")
    exhibition = filters.UUIDFilter(field_name="exhibition__public_id")
    captured_by = TextFilter(field_name="captured_by__email", label="A colleague's e-mail address.")
    owner = TextFilter(field_name="customer__owner__email", label="The e-mail address of the customer's owner.")
    contacted = YesOrNoFilter(method="filter_contacted", label=f"Whether it is {CONTACTED}")
    visited_after = MomentFilter(field_name="visited_at", lookup_expr="gte")
    visited_before = MomentFilter(field_name="visited_at", lookup_expr="lt")

    class Meta:
        model = Visit
        fields: ClassVar = ["grade"]

    def filter_contacted(self, rows: Any, _name: str, value: bool) -> QuerySet[Visit]:
        return rows.filter(is_contacted() if value else ~is_contacted())  # type: ignore[no-any-return]


class FollowUpFilter(filters.FilterSet):
    customer = filters.UUIDFilter(field_name="customer__public_id")
    visit = filters.UUIDFilter(field_name="visit__public_id")
    assignee = TextFilter(field_name="assignee__email", label="A colleague's e-mail address.")
    unassigned = YesOrNoFilter(field_name="assignee", lookup_expr="isnull")
    completed = YesOrNoFilter(field_name="completed_at", lookup_expr="isnull", exclude=True)
    due_after = MomentFilter(field_name="due_at", lookup_expr="gte")
    due_before = MomentFilter(field_name="due_at", lookup_expr="lt")

    class Meta:
        model = FollowUp
        fields: ClassVar = ["channel", "priority"]

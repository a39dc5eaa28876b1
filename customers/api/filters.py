"""The filters of the lists, each supported by an index."""

from typing import Any, ClassVar

import django_filters as filters
from django.db.models import Q, QuerySet
from django.utils import timezone
from django_countries import countries
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from core_apps.api.parameters import TEXT
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit


@extend_schema_field(TEXT)
class TextFilter(filters.CharFilter):
    """Any text that is not blank."""


@extend_schema_field(OpenApiTypes.BOOL)
class YesOrNoFilter(filters.TypedChoiceFilter):
    """Unlike BooleanFilter, rejects other words, which would return everything."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=[("true", "true"), ("false", "false")], coerce="true".__eq__, **options)


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
    exhibition = filters.UUIDFilter(method="filter_exhibition", label="Customers met at this exhibition.")
    tag = TextFilter(method="filter_tag", label="The name of a tag.")
    archived = YesOrNoFilter(field_name="archived_at", lookup_expr="isnull", exclude=True)
    created_after = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Customer
        fields: ClassVar = ["stage", "source"]

    def filter_email(self, rows: Any, _name: str, email: str) -> QuerySet[Customer]:
        return rows.filter(email=email.lower())  # type: ignore[no-any-return]

    def filter_exhibition(self, rows: Any, _name: str, public_id: Any) -> QuerySet[Customer]:
        exhibition = Exhibition.objects.visible_to(self.request.user).filter(public_id=public_id).first()  # type: ignore[union-attr]
        return rows.met_at(exhibition) if exhibition else rows.none()  # type: ignore[no-any-return]

    def filter_tag(self, rows: Any, _name: str, name: str) -> QuerySet[Customer]:
        tag = Tag.objects.filter(name__iexact=name).first()
        return rows.tagged_with(tag.pk) if tag else rows.none()  # type: ignore[no-any-return]


class VisitFilter(filters.FilterSet):
    customer = filters.UUIDFilter(field_name="customer__public_id")
    exhibition = filters.UUIDFilter(field_name="exhibition__public_id")
    captured_by = TextFilter(field_name="captured_by__email", label="A colleague's e-mail address.")
    visited_after = filters.IsoDateTimeFilter(field_name="visited_at", lookup_expr="gte")
    visited_before = filters.IsoDateTimeFilter(field_name="visited_at", lookup_expr="lt")

    class Meta:
        model = Visit
        fields: ClassVar = ["grade"]


class FollowUpFilter(filters.FilterSet):
    customer = filters.UUIDFilter(field_name="customer__public_id")
    visit = filters.UUIDFilter(field_name="visit__public_id")
    assignee = TextFilter(field_name="assignee__email", label="A colleague's e-mail address.")
    unassigned = YesOrNoFilter(field_name="assignee", lookup_expr="isnull")
    completed = YesOrNoFilter(field_name="completed_at", lookup_expr="isnull", exclude=True)
    due_after = filters.IsoDateTimeFilter(field_name="due_at", lookup_expr="gte")
    due_before = filters.IsoDateTimeFilter(field_name="due_at", lookup_expr="lt")

    class Meta:
        model = FollowUp
        fields: ClassVar = ["channel", "priority"]

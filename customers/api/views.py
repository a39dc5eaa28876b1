"""The resources of the API: their rows, orders and filters."""

from typing import Any, ClassVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django.utils.translation import gettext as _

from core_apps.api.exceptions import ConflictError
from core_apps.api.views import ResourceViewSet
from customers.api import filters, serializers
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit
from customers.querysets import VIEW_EVERY_CUSTOMER


class DomainViewSet(ResourceViewSet):
    """Rows limited by `visible_to`."""

    def get_cache_group(self) -> str:
        return "every row" if self.request.user.has_perm(VIEW_EVERY_CUSTOMER) else super().get_cache_group()


class ExhibitionViewSet(DomainViewSet):
    """Editions of trade fairs; stand staff see those they work at."""

    model = Exhibition
    serializer_class = serializers.ExhibitionSerializer
    filterset_class = filters.ExhibitionFilter
    list_sorting: ClassVar = {"starts_on": ("-starts_on", "-pk")}


class CompanyViewSet(DomainViewSet):
    """Organisations; a company with customers cannot be deleted."""

    model = Company
    serializer_class = serializers.CompanySerializer
    filterset_class = filters.CompanyFilter
    list_sorting: ClassVar = {"name": ("name", "pk")}


class TagViewSet(DomainViewSet):
    """Labels for customers."""

    model = Tag
    serializer_class = serializers.TagSerializer
    list_sorting: ClassVar = {"name": ("name", "pk")}


class CustomerViewSet(DomainViewSet):
    """People met at exhibitions; customers with visits or follow-ups cannot be deleted, only archived."""

    model = Customer
    serializer_class = serializers.CustomerSerializer
    filterset_class = filters.CustomerFilter
    list_sorting: ClassVar = {"created_at": ("-created_at", "-pk"), "name": ("family_name", "given_name", "pk")}

    def load_related(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        names = Tag.objects.filter(customers=OuterRef("pk")).order_by("name").values("name")
        return rows.select_related("company", "owner").annotate(tag_names=ArraySubquery(names))  # type: ignore[no-any-return]

    def perform_destroy(self, instance: Customer) -> None:
        if Customer.objects.filter(pk=instance.pk).with_history().exists():
            raise ConflictError(
                _("A customer with visits or follow-ups cannot be deleted. PATCH “archived” to true instead.")
            )
        super().perform_destroy(instance)


class VisitViewSet(DomainViewSet):
    """Visits of customers at the stand; stand staff see those at their exhibitions."""

    model = Visit
    serializer_class = serializers.VisitSerializer
    filterset_class = filters.VisitFilter
    list_sorting: ClassVar = {"visited_at": ("-visited_at", "-pk")}

    def load_related(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.select_related("customer", "exhibition", "captured_by")


class FollowUpViewSet(DomainViewSet):
    """What a colleague promised to do for a customer, by when, and the outcome."""

    model = FollowUp
    serializer_class = serializers.FollowUpSerializer
    filterset_class = filters.FollowUpFilter
    list_sorting: ClassVar = {"due_at": ("due_at", "pk")}

    def load_related(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.select_related("customer", "visit", "assignee")

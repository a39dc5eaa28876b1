"""Every resource of the API: which rows, in what order, narrowed by what."""

from typing import Any, ClassVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet
from django.utils.translation import gettext as _

from core_apps.api.refusals import Conflict
from core_apps.api.views import ResourceViewSet
from customers.api import filters, serializers
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit
from customers.querysets import EVERY


class DomainViewSet(ResourceViewSet):
    """Rows that `visible_to` says who sees."""

    def scope(self) -> str:
        return "every row" if self.request.user.has_perm(EVERY) else super().scope()


class ExhibitionViewSet(DomainViewSet):
    """Editions of trade fairs; stand staff see those at whose stand they work."""

    model = Exhibition
    serializer_class = serializers.ExhibitionSerializer
    filterset_class = filters.ExhibitionFilter
    list_sorting: ClassVar = {"starts_on": ("-starts_on", "-pk")}


class CompanyViewSet(DomainViewSet):
    """Organisations; one that has customers cannot be deleted."""

    model = Company
    serializer_class = serializers.CompanySerializer
    filterset_class = filters.CompanyFilter
    list_sorting: ClassVar = {"name": ("name", "pk")}


class TagViewSet(DomainViewSet):
    """The team's own words that customers are marked with."""

    model = Tag
    serializer_class = serializers.TagSerializer
    list_sorting: ClassVar = {"name": ("name", "pk")}


class CustomerViewSet(DomainViewSet):
    """People met at exhibitions; whoever has visits or follow-ups is archived, not deleted."""

    model = Customer
    serializer_class = serializers.CustomerSerializer
    filterset_class = filters.CustomerFilter
    list_sorting: ClassVar = {"created_at": ("-created_at", "-pk"), "name": ("family_name", "given_name", "pk")}

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        names = Tag.objects.filter(customers=OuterRef("pk")).order_by("name").values("name")
        return rows.select_related("company", "owner").annotate(tag_names=ArraySubquery(names))  # type: ignore[no-any-return]

    def perform_destroy(self, instance: Customer) -> None:
        if Customer.objects.filter(pk=instance.pk).with_history().exists():
            raise Conflict(_("This customer has visits or follow-ups: archive instead, by PATCH with “archived” true."))
        super().perform_destroy(instance)


class VisitViewSet(DomainViewSet):
    """Customers at the stand; stand staff see those of their exhibitions."""

    model = Visit
    serializer_class = serializers.VisitSerializer
    filterset_class = filters.VisitFilter
    list_sorting: ClassVar = {"visited_at": ("-visited_at", "-pk")}

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.select_related("customer", "exhibition", "captured_by")


class FollowUpViewSet(DomainViewSet):
    """What somebody promised to do for a customer, by when, and what became of it."""

    model = FollowUp
    serializer_class = serializers.FollowUpSerializer
    filterset_class = filters.FollowUpFilter
    list_sorting: ClassVar = {"due_at": ("due_at", "pk")}

    def complete(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.select_related("customer", "visit", "assignee")

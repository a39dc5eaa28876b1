"""QuerySets with the business's own filters; read each method after “customers that are …”.

Only `visible_to` decides who sees which rows; admin, API, export and media call it.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from django.contrib.postgres.search import TrigramSimilarity
from django.db import models
from django.db.models.functions import Cast, Concat

from core_apps.big_lists.search import Unaccent, matching
from core_apps.common.visibility import VisibleToAll

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core_apps.accounts.models import User
    from customers.models import Company, Customer, Exhibition, FollowUp, Visit  # noqa: F401 - as strings below

    AnyUser: TypeAlias = User | AnonymousUser

VIEW_EVERY_CUSTOMER = "customers.view_every_customer"  # permission for the rows of every exhibition
MIN_SIMILARITY = 0.5  # Jonas Brandt is 0.53 like Jon Brand, 0.56 like Jörg Brandt, 0.30 like Jonas Müller


def in_union(first: models.QuerySet[Any], *others: models.QuerySet[Any]) -> models.Q:
    """Match rows of any of the QuerySets, as a UNION: each uses its own index, an OR would scan the table."""
    keys, *more = [one.order_by().values("pk") for one in (first, *others)]
    return models.Q(pk__in=keys.union(*more, all=True))


def has_customer_matching(text: str) -> models.Q:
    """Match visits or follow-ups whose customer matches the text."""
    from customers.models import Customer  # the model imports this module

    return models.Q(customer__in=Customer.objects.matching(text).order_by().values("pk"))


def visits_of_staff(user: "AnyUser") -> "models.QuerySet[Visit]":
    from customers.models import Visit

    return Visit.objects.filter(exhibition__staff=user.pk).order_by()


def name_similarity(name: str) -> TrigramSimilarity:
    """Return the trigram similarity, 0 to 1, of a customer's full name and this name, ignoring accents."""
    full_name = Concat("given_name", models.Value(" "), "family_name")
    return TrigramSimilarity(Unaccent(full_name), Unaccent(models.Value(name)))  # type: ignore[arg-type]


class CompanyQuerySet(VisibleToAll["Company"]):
    def matching(self, text: str) -> Self:
        """Companies whose name or domain contains each word of the text."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()


class ExhibitionQuerySet(models.QuerySet["Exhibition"]):
    def started_before(self, moment: datetime) -> Self:
        """Exhibitions whose first day, in their time zone, is not after the moment; the latest first."""
        return self.alias(day=local_date(moment)).filter(starts_on__lte=models.F("day")).order_by("-starts_on", "-pk")

    def visible_to(self, user: "AnyUser") -> Self:
        """All exhibitions, or those at whose stand the user works."""
        return self if user.has_perm(VIEW_EVERY_CUSTOMER) else self.filter(staff=user.pk)

    def open_at(self, moment: datetime) -> Self:
        return self.started_before(moment).filter(ends_on__gte=models.F("day"))


def local_date(moment: datetime) -> Cast:
    """Return the moment's date in each exhibition's time zone."""
    local_time = models.Func(
        "time_zone", models.Value(moment), function="timezone", output_field=models.DateTimeField()
    )
    return Cast(local_time, models.DateField())


class CustomerQuerySet(models.QuerySet["Customer"]):
    def visible_to(self, user: "AnyUser") -> Self:
        """All customers, or those met at the user's exhibitions or owned by the user."""
        if user.has_perm(VIEW_EVERY_CUSTOMER):
            return self
        met = visits_of_staff(user).values("customer")
        own = self.model._default_manager.filter(owner=user.pk).order_by().values("pk")
        return self.filter(pk__in=met.union(own, all=True))

    def matching(self, text: str) -> Self:
        """Customers whose names, e-mail address, phone number or company contain each word of the text."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()

    def current(self) -> Self:
        return self.filter(archived_at=None)

    def archived(self) -> Self:
        return self.exclude(archived_at=None)

    def active(self) -> Self:
        return self.current().exclude(stage="inactive")

    def unowned(self) -> Self:
        """Active customers without an owner."""
        return self.active().filter(owner=None)

    def owned_by(self, user: "User") -> Self:
        return self.filter(owner=user)

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(models.Exists(exhibition.visits.filter(customer=models.OuterRef("pk"))))

    def similar_to(self, customer: "Customer") -> Self:
        """Customers with the same e-mail address, the same phone number, or a similar name at the same company."""
        customers = self.model._default_manager.exclude(pk=customer.pk)
        namesakes = customers.alias(similarity=name_similarity(customer.full_name))
        namesakes = namesakes.filter(similarity__gte=MIN_SIMILARITY)
        similar = in_union(
            customers.filter(email=customer.email).exclude(email=""),
            customers.filter(phone_e164=customer.phone_e164).exclude(phone_e164=""),
            namesakes.filter(company=customer.company_id) if customer.company_id else customers.none(),
        )
        return self.filter(similar)

    def tagged_with(self, tag: int) -> Self:
        """Customers with the tag of this primary key."""
        marks = self.model.tags.through.objects.filter(tag=tag, customer=models.OuterRef("pk"))
        return self.filter(models.Exists(marks))

    def with_history(self) -> Self:
        """Customers whose deletion would delete visits or follow-ups too."""
        own = self.model._default_manager.filter(pk=models.OuterRef("pk"))
        visited, followed_up = own.filter(visits__isnull=False), own.filter(follow_ups__isnull=False)
        return self.filter(models.Exists(visited) | models.Exists(followed_up))


class VisitQuerySet(models.QuerySet["Visit"]):
    def visible_to(self, user: "AnyUser") -> Self:
        """All visits, or those at the user's exhibitions."""
        return self if user.has_perm(VIEW_EVERY_CUSTOMER) else self.filter(exhibition__staff=user.pk)

    def matching(self, text: str) -> Self:
        """Visits of customers that match the text."""
        return self.filter(has_customer_matching(text))

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(exhibition=exhibition)


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    def visible_to(self, user: "AnyUser") -> Self:
        """All follow-ups, or those assigned to the user or of a visit at the user's exhibitions."""
        if user.has_perm(VIEW_EVERY_CUSTOMER):
            return self
        rows = self.model._default_manager.order_by()
        of_visits = rows.filter(visit__exhibition__staff=user.pk).values("pk")
        return self.filter(pk__in=of_visits.union(rows.filter(assignee=user.pk).values("pk"), all=True))

    def matching(self, text: str) -> Self:
        """Follow-ups of customers that match the text."""
        return self.filter(has_customer_matching(text))

    def open(self) -> Self:
        return self.filter(completed_at=None)

    def completed(self) -> Self:
        return self.exclude(completed_at=None)

    def overdue_at(self, moment: datetime) -> Self:
        return self.open().filter(due_at__lt=moment)

    def assigned_to(self, user: "User") -> Self:
        return self.filter(assignee=user)

    def unassigned(self) -> Self:
        return self.open().filter(assignee=None)

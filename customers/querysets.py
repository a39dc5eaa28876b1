"""Reads with a business name: a method reads after «customers that are …».

`visible_to` is the one place that says who sees which rows; admin, export and media ask it.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from django.contrib.postgres.search import TrigramSimilarity
from django.db import models
from django.db.models.functions import Cast, Concat

from core_apps.big_lists.search import Folded, matching
from core_apps.common.visibility import VisibleToAll

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core_apps.accounts.models import User
    from customers.models import Company, Customer, Exhibition, FollowUp, Visit  # noqa: F401 - as strings below

    Somebody: TypeAlias = User | AnonymousUser

EVERY = "customers.view_every_customer"  # the permission that lets a person see the rows of every exhibition
SIMILAR = 0.5  # Jonas Brandt is 0.53 like Jon Brand, 0.56 like Jörg Brandt, 0.30 like Jonas Müller


def in_any(first: models.QuerySet[Any], *others: models.QuerySet[Any]) -> models.Q:
    """In one of the short lists, each found by an index of its own: an OR would look at every row."""
    keys, *more = [one.order_by().values("pk") for one in (first, *others)]
    return models.Q(pk__in=keys.union(*more, all=True))


def customers_matching(text: str) -> models.Q:
    """Of visits or follow-ups: those whose customer matches."""
    from customers.models import Customer  # its manager is made of this module

    return models.Q(customer__in=Customer.objects.matching(text).order_by().values("pk"))


def visits_at_stands_of(user: "Somebody") -> "models.QuerySet[Visit]":
    from customers.models import Visit

    return Visit.objects.filter(exhibition__staff=user.pk).order_by()


def likeness_to(name: str) -> TrigramSimilarity:
    """From 0 to 1: how many letter triples a full name has in common with this one, accents aside."""
    full_name = Concat("given_name", models.Value(" "), "family_name")
    return TrigramSimilarity(Folded(full_name), Folded(models.Value(name)))  # type: ignore[arg-type]


class CompanyQuerySet(VisibleToAll["Company"]):
    def matching(self, text: str) -> Self:
        """Those with each word of the text in their name or domain."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()


class ExhibitionQuerySet(models.QuerySet["Exhibition"]):
    def opened_by(self, moment: datetime) -> Self:
        """Those whose first day has come at their place; the latest first."""
        return (
            self.alias(day=day_at_the_place(moment))
            .filter(starts_on__lte=models.F("day"))
            .order_by("-starts_on", "-pk")
        )

    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those at whose stand the person works."""
        return self if user.has_perm(EVERY) else self.filter(staff=user.pk)

    def open_at(self, moment: datetime) -> Self:
        return self.opened_by(moment).filter(ends_on__gte=models.F("day"))


def day_at_the_place(moment: datetime) -> Cast:
    """The moment's date in each exhibition's time zone."""
    local_time = models.Func(
        "time_zone", models.Value(moment), function="timezone", output_field=models.DateTimeField()
    )
    return Cast(local_time, models.DateField())


class CustomerQuerySet(models.QuerySet["Customer"]):
    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those that were met at the person's exhibitions or are looked after by that person."""
        if user.has_perm(EVERY):
            return self
        met = visits_at_stands_of(user).values("customer")
        own = self.model._default_manager.filter(owner=user.pk).order_by().values("pk")
        return self.filter(pk__in=met.union(own, all=True))

    def matching(self, text: str) -> Self:
        """Those with each word of the text in their names, e-mail address, phone number or company."""
        condition = matching(text)
        return self.filter(condition) if condition else self.none()

    def current(self) -> Self:
        return self.filter(archived_at=None)

    def archived(self) -> Self:
        return self.exclude(archived_at=None)

    def active(self) -> Self:
        return self.current().exclude(stage="inactive")

    def unowned(self) -> Self:
        """Active customers that nobody looks after."""
        return self.active().filter(owner=None)

    def owned_by(self, user: "User") -> Self:
        return self.filter(owner=user)

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(models.Exists(exhibition.visits.filter(customer=models.OuterRef("pk"))))

    def resembling(self, customer: "Customer") -> Self:
        """Those with the same e-mail address, the same phone number, or a similar name at the same company."""
        customers = self.model._default_manager.exclude(pk=customer.pk)
        colleagues = customers.alias(likeness=likeness_to(customer.full_name)).filter(likeness__gte=SIMILAR)
        same = in_any(
            customers.filter(email=customer.email).exclude(email=""),
            customers.filter(phone_e164=customer.phone_e164).exclude(phone_e164=""),
            colleagues.filter(company=customer.company_id) if customer.company_id else customers.none(),
        )
        return self.filter(same)

    def tagged_with(self, tag: int) -> Self:
        """By the tag's key."""
        marks = self.model.tags.through.objects.filter(tag=tag, customer=models.OuterRef("pk"))
        return self.filter(models.Exists(marks))

    def with_history(self) -> Self:
        """Those whose deletion would take visits or follow-ups along."""
        own = self.model._default_manager.filter(pk=models.OuterRef("pk"))
        visited, followed_up = own.filter(visits__isnull=False), own.filter(follow_ups__isnull=False)
        return self.filter(models.Exists(visited) | models.Exists(followed_up))


class VisitQuerySet(models.QuerySet["Visit"]):
    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those at the person's exhibitions."""
        return self if user.has_perm(EVERY) else self.filter(exhibition__staff=user.pk)

    def matching(self, text: str) -> Self:
        """Those of customers that match."""
        return self.filter(customers_matching(text))

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(exhibition=exhibition)


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those that are the person's own or follow up a visit at the person's exhibitions."""
        if user.has_perm(EVERY):
            return self
        rows = self.model._default_manager.order_by()
        of_visits = rows.filter(visit__exhibition__staff=user.pk).values("pk")
        return self.filter(pk__in=of_visits.union(rows.filter(assignee=user.pk).values("pk"), all=True))

    def matching(self, text: str) -> Self:
        """Those of customers that match."""
        return self.filter(customers_matching(text))

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

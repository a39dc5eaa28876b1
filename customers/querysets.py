"""Reads with a business name: a method reads after «customers that are …».

`visible_to` is the one place that says who sees which rows; admin, export and media ask it.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Self, TypeAlias

from django.db import models
from django.db.models.functions import Cast

from core_apps.common.folding import matching

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core_apps.accounts.models import User
    from customers.models import Company, Customer, Exhibition, FollowUp, Visit  # noqa: F401 - as strings below

    Somebody: TypeAlias = User | AnonymousUser

EVERY = "customers.view_every_customer"  # the permission that lets a person see the rows of every exhibition


class CompanyQuerySet(models.QuerySet["Company"]):
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
        customers = self.model._default_manager
        # Two short lists, each by its index: an OR of both would look at every customer.
        met = customers.filter(visits__exhibition__staff=user.pk).values("pk")
        return self.filter(pk__in=met.union(customers.filter(owner=user.pk).values("pk"), all=True))

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
        condition = matching(text, "customer__search_text")
        return self.filter(condition) if condition else self.none()

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(exhibition=exhibition)


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    def visible_to(self, user: "Somebody") -> Self:
        """Every one, or those that are the person's own or follow up a visit at the person's exhibitions."""
        if user.has_perm(EVERY):
            return self
        follow_ups = self.model._default_manager
        at_exhibitions = follow_ups.filter(visit__exhibition__staff=user.pk).values("pk")
        return self.filter(pk__in=at_exhibitions.union(follow_ups.filter(assignee=user.pk).values("pk"), all=True))

    def matching(self, text: str) -> Self:
        """Those of customers that match."""
        condition = matching(text, "customer__search_text")
        return self.filter(condition) if condition else self.none()

    def open(self) -> Self:
        return self.filter(completed_at=None)

    def overdue_at(self, moment: datetime) -> Self:
        return self.open().filter(due_at__lt=moment)

    def assigned_to(self, user: "User") -> Self:
        return self.filter(assignee=user)

    def unassigned(self) -> Self:
        return self.open().filter(assignee=None)

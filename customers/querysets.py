"""Reads with a business name: a method reads after «customers that are …»."""

from datetime import datetime
from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models.functions import Cast

if TYPE_CHECKING:
    from core_apps.accounts.models import User
    from customers.models import Customer, Exhibition, Visit  # noqa: F401 - as strings below


class ExhibitionQuerySet(models.QuerySet["Exhibition"]):
    def opened_by(self, moment: datetime) -> Self:
        """Those whose first day has come at their place; the latest first."""
        return (
            self.alias(day=day_at_the_place(moment))
            .filter(starts_on__lte=models.F("day"))
            .order_by("-starts_on", "-pk")
        )

    def open_at(self, moment: datetime) -> Self:
        return self.opened_by(moment).filter(ends_on__gte=models.F("day"))


def day_at_the_place(moment: datetime) -> Cast:
    """The moment's date in each exhibition's time zone."""
    local_time = models.Func(
        "time_zone", models.Value(moment), function="timezone", output_field=models.DateTimeField()
    )
    return Cast(local_time, models.DateField())


class CustomerQuerySet(models.QuerySet["Customer"]):
    def active(self) -> Self:
        return self.exclude(stage="inactive")

    def unowned(self) -> Self:
        """Active customers that nobody looks after."""
        return self.active().filter(owner=None)

    def owned_by(self, user: "User") -> Self:
        return self.filter(owner=user)

    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(models.Exists(exhibition.visits.filter(customer=models.OuterRef("pk"))))


class VisitQuerySet(models.QuerySet["Visit"]):
    def met_at(self, exhibition: "Exhibition") -> Self:
        return self.filter(exhibition=exhibition)

"""Reads with a business name: a method reads after «customers that are …»."""

from datetime import date
from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from core_apps.accounts.models import User
    from customers.models import Company, Customer, Exhibition, Visit  # noqa: F401 - as strings below


class ExhibitionQuerySet(models.QuerySet["Exhibition"]):
    def open_on(self, day: date) -> Self:
        return self.filter(starts_on__lte=day, ends_on__gte=day)

    def upcoming(self, day: date) -> Self:
        """Those that start after the day, the next one first."""
        return self.filter(starts_on__gt=day).order_by("starts_on", "pk")


class CompanyQuerySet(models.QuerySet["Company"]):
    def without_domain(self) -> Self:
        return self.filter(domain="")


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

    def with_last_visit(self) -> Self:
        """Annotates `last_visited_at`, None for customers without a visit."""
        return self.annotate(last_visited_at=models.Max("visits__visited_at"))


class VisitQuerySet(models.QuerySet["Visit"]):
    def graded(self, grade: str) -> Self:
        return self.filter(grade=grade)

    def captured_by(self, user: "User") -> Self:
        return self.filter(captured_by=user)

    def newest_first(self) -> Self:
        return self.order_by("-visited_at", "-pk")

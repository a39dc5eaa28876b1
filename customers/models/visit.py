from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from core_apps.common.models import PublicModel
from customers.models.customer import Customer
from customers.models.exhibition import Exhibition
from customers.models.rules import is_in_range, validate_past
from customers.querysets import VisitQuerySet


class Visit(PublicModel):
    """A customer's visit to our stand: when, what they are interested in, and the quality of the lead."""

    class Grade(models.TextChoices):
        A = "A", _("A: buys soon")
        B = "B", _("B: interested")
        C = "C", _("C: later")
        D = "D", _("D: no business")

    customer = models.ForeignKey(Customer, models.CASCADE, verbose_name=_("customer"), related_name="visits")
    exhibition = models.ForeignKey(Exhibition, models.PROTECT, verbose_name=_("exhibition"), related_name="visits")
    visited_at = models.DateTimeField(_("visited at"), default=timezone.now, validators=[validate_past])
    stand = models.CharField(_("stand"), max_length=50, blank=True, help_text=_("Hall and number: 7.1 C042."))
    grade = models.CharField(_("grade"), max_length=1, choices=Grade, blank=True)
    interests = ArrayField(
        models.CharField(max_length=60),
        verbose_name=_("interests"),
        default=list,
        blank=True,
        help_text=_("Comma-separated."),
    )
    note = models.TextField(_("note"), max_length=10_000, blank=True)
    captured_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("captured by"),
        null=True,
        blank=True,
        related_name="captured_visits",
    )

    objects: ClassVar[VisitQuerySet] = VisitQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("visit")
        verbose_name_plural = _("visits")
        ordering = ("-visited_at", "-pk")
        permissions = (("export_visit", "Can export visits"),)
        constraints = (
            models.CheckConstraint(name="visit_grade_known", condition=Q(grade__in=("", "A", "B", "C", "D"))),
            models.CheckConstraint(name="visit_visited_at_in_range", condition=is_in_range("visited_at")),
            models.UniqueConstraint(
                fields=("customer", "exhibition", "visited_at"),
                name="visit_once_at_a_time",
                violation_error_message=_("This visit is already recorded."),
            ),
        )
        indexes = (
            models.Index(fields=("-visited_at", "-id"), name="visit_newest_first"),
            models.Index(fields=("exhibition", "-visited_at", "-id"), name="visit_by_exhibition"),
            # Includes all columns of the dashboard's counts, for index-only scans.
            models.Index(
                fields=("exhibition",), include=("id", "visited_at", "grade", "captured_by"), name="visit_tally"
            ),
            # For the customers met at an exhibition, by index-only scans.
            models.Index(fields=("exhibition", "customer"), name="visit_by_exhibition_met"),
            models.Index(fields=("customer", "-visited_at", "-id"), name="visit_by_customer"),
            models.Index(fields=("grade", "-visited_at", "-id"), name="visit_by_grade"),
            models.Index(fields=("captured_by", "-visited_at"), name="visit_by_captured_by"),
        )

    @property
    def local_time(self) -> datetime:
        """When it was, in the time zone of the exhibition."""
        return self.visited_at.astimezone(self.exhibition.zone)

    @property
    def label(self) -> str:
        """The name with the time, which tells visits of one customer apart."""
        return f"{self}, {date_format(self.local_time, 'SHORT_DATETIME_FORMAT')}"

    def __str__(self) -> str:
        return _("%(customer)s at %(exhibition)s") % {"customer": self.customer, "exhibition": self.exhibition}

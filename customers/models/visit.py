from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core_apps.common.models import TimeStampedModel
from customers.models.customer import Customer
from customers.models.exhibition import Exhibition
from customers.querysets import VisitQuerySet


class Visit(TimeStampedModel):
    """A customer at our stand: when, what they want, and how good a lead they are."""

    class Grade(models.TextChoices):
        A = "A", "A: buys soon"
        B = "B", "B: interested"
        C = "C", "C: later"
        D = "D", "D: no business"

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="visits")
    exhibition = models.ForeignKey(Exhibition, models.PROTECT, related_name="visits")
    visited_at = models.DateTimeField("when", default=timezone.now)
    stand = models.CharField(max_length=50, blank=True, help_text="Hall and number: 7.1 C042.")
    grade = models.CharField(max_length=1, choices=Grade, blank=True)
    interests = ArrayField(models.CharField(max_length=60), default=list, blank=True, help_text="Comma-separated.")
    note = models.TextField(max_length=10_000, blank=True)
    captured_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="captured_visits"
    )

    objects: ClassVar[VisitQuerySet] = VisitQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("-visited_at", "-pk")
        constraints = (
            models.CheckConstraint(name="visit_grade_known", condition=Q(grade__in=("", "A", "B", "C", "D"))),
            models.UniqueConstraint(
                fields=("customer", "exhibition", "visited_at"),
                name="visit_once_at_a_time",
                violation_error_message="This visit is recorded already.",
            ),
        )
        indexes = (
            models.Index(fields=("-visited_at", "-id"), name="visit_newest_first"),
            models.Index(fields=("exhibition", "-visited_at", "-id"), name="visit_by_exhibition"),
            models.Index(fields=("customer", "-visited_at", "-id"), name="visit_by_customer"),
            models.Index(fields=("grade", "-visited_at", "-id"), name="visit_by_grade"),
            models.Index(fields=("captured_by", "-visited_at"), name="visit_by_captured_by"),
        )

    def __str__(self) -> str:
        return f"{self.customer} at {self.exhibition}"

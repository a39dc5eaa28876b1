from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core_apps.common.models import PublicModel
from customers.models.customer import Customer
from customers.models.rules import is_in_range, validate_date, validate_past
from customers.models.visit import Visit
from customers.querysets import FollowUpQuerySet


class FollowUp(PublicModel):
    """What a colleague promised to do for a customer, by when, and the outcome."""

    class Channel(models.TextChoices):
        PHONE = "phone", _("Phone")
        EMAIL = "email", _("E-mail")
        MEETING = "meeting", _("Meeting")
        MESSAGE = "message", _("Message")
        POST = "post", _("Post")

    class Priority(models.IntegerChoices):
        HIGH = 1, _("High")
        NORMAL = 2, _("Normal")
        LOW = 3, _("Low")

    class Outcome(models.TextChoices):
        REACHED = "reached", _("Reached")
        MEETING = "meeting", _("Meeting arranged")
        QUOTE = "quote", _("Quote wanted")
        NO_ANSWER = "no_answer", _("No answer")
        DECLINED = "declined", _("Not interested")

    customer = models.ForeignKey(Customer, models.CASCADE, verbose_name=_("customer"), related_name="follow_ups")
    visit = models.ForeignKey(
        Visit,
        models.SET_NULL,
        verbose_name=_("visit"),
        null=True,
        blank=True,
        related_name="follow_ups",
        help_text=_("The visit it follows up."),
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("assignee"),
        null=True,
        blank=True,
        related_name="follow_ups",
    )
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, default=Channel.PHONE)
    due_at = models.DateTimeField(_("due"), validators=[validate_date])
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority, default=Priority.NORMAL)
    note = models.TextField(_("note"), max_length=10_000, blank=True, help_text=_("What to do."))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome, blank=True)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True, validators=[validate_past])

    objects: ClassVar[FollowUpQuerySet] = FollowUpQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("follow-up")
        verbose_name_plural = _("follow-ups")
        ordering = ("due_at", "pk")
        permissions = (("export_followup", "Can export follow-ups"),)
        constraints = (
            models.CheckConstraint(
                name="follow_up_channel_known",
                condition=Q(channel__in=("phone", "email", "meeting", "message", "post")),
            ),
            models.CheckConstraint(name="follow_up_priority_known", condition=Q(priority__in=(1, 2, 3))),
            models.CheckConstraint(
                name="follow_up_outcome_known",
                condition=Q(outcome__in=("", "reached", "meeting", "quote", "no_answer", "declined")),
            ),
            models.CheckConstraint(name="follow_up_due_at_in_range", condition=is_in_range("due_at")),
            models.CheckConstraint(name="follow_up_completed_at_in_range", condition=is_in_range("completed_at")),
            models.CheckConstraint(
                name="follow_up_outcome_of_a_completed_one",
                condition=Q(outcome="") | Q(completed_at__isnull=False),
                violation_error_message=_("An open follow-up cannot have an outcome. Enter when it was completed."),
            ),
        )
        indexes = (
            models.Index(fields=("due_at", "id"), name="follow_up_by_due"),
            # Includes the columns that lists filter by, so that only the rows of one page are read.
            models.Index(
                fields=("due_at", "id"),
                include=("customer", "visit", "assignee"),
                name="follow_up_open_by_due",
                condition=Q(completed_at=None),
            ),
            models.Index(
                fields=("assignee", "due_at", "id"), name="follow_up_open_by_assignee", condition=Q(completed_at=None)
            ),
            models.Index(fields=("customer", "-due_at", "-id"), name="follow_up_by_customer"),
            # For the dashboard's first contacts, by index-only scans.
            models.Index(fields=("customer", "completed_at"), name="follow_up_by_completed"),
        )

    def clean(self) -> None:
        self.normalise()
        if self.visit_id and self.customer_id and self.visit and self.visit.customer_id != self.customer_id:
            raise ValidationError({"visit": _("This visit belongs to another customer: %s.") % self.visit.customer})

    def __str__(self) -> str:
        return f"{self.get_channel_display()}: {self.customer}"

    def save(self, *args: object, **kwargs: object) -> None:
        self.normalise()
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def normalise(self) -> None:
        if self.outcome and not self.completed_at:
            self.completed_at = timezone.now()

"""Messages to programs: where they are sent, and what became of each."""

import base64
import secrets
import uuid
from datetime import timedelta
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core_apps.common.visibility import VisibleToAll

SECRET_BYTES = 32
# How long both secrets sign after a rotation, so that receivers can be changed meanwhile.
ROTATION = timedelta(days=1)


def generate_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


class Endpoint(models.Model):
    """A URL that is told of events. The triggers of triggers.py add a delivery for each."""

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")

    name = models.CharField(_("name"), max_length=100)
    url = models.URLField(_("URL"), max_length=500)
    events = ArrayField(models.CharField(max_length=50), verbose_name=_("events"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ACTIVE)
    secret = models.CharField(_("secret"), max_length=100, default=generate_secret, editable=False)
    former_secret = models.CharField(_("former secret"), max_length=100, blank=True, editable=False)
    rotated_at = models.DateTimeField(_("secret changed"), null=True, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, editable=False)
    # After a slow attempt: each further one would hold up the deliveries to other endpoints for as long.
    resting_until = models.DateTimeField(_("no attempt until"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)

    objects: ClassVar[VisibleToAll["Endpoint"]] = VisibleToAll.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("name", "pk")

    def __str__(self) -> str:
        return self.name

    @property
    def secrets(self) -> list[str]:
        """The secrets that sign: after a rotation the former one, too, for a day."""
        is_recent = self.rotated_at is not None and timezone.now() - self.rotated_at < ROTATION
        return [self.secret, self.former_secret] if is_recent else [self.secret]

    def rotate(self) -> None:
        self.secret, self.former_secret, self.rotated_at = generate_secret(), self.secret, timezone.now()
        self.save(update_fields=["secret", "former_secret", "rotated_at"])


class Delivery(models.Model):
    """One event for one endpoint; its id is the `webhook-id`, by which a receiver recognises a repeated one."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="deliveries", verbose_name=_("webhook"))
    event = models.CharField(_("event"), max_length=50)
    subject = models.UUIDField(_("public id"), null=True)  # of the row; a test has none
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    attempted_at = models.DateTimeField(_("last attempt"), null=True)
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    milliseconds = models.PositiveIntegerField(_("milliseconds"), null=True)
    response = models.TextField(_("response"), blank=True)  # its beginning, or why there is none

    objects: ClassVar[VisibleToAll["Delivery"]] = VisibleToAll.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=("-created_at", "-id"), name="webhook_delivery_newest"),
            models.Index(
                fields=("endpoint", "created_at"), name="webhook_delivery_failed", condition=Q(state="failed")
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

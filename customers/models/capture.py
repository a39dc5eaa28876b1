from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core_apps.common.models import TimeStampedModel
from customers.models.visit import Visit


class Capture(TimeStampedModel):
    """An entry of the capture form that has arrived: a device sends it until it hears so, and it counts once.

    Apart from the visit, so that one that was deleted does not come back with a late second sending.
    """

    client_uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    visit = models.OneToOneField(Visit, models.SET_NULL, null=True, related_name="capture")
    captured_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("capture")
        verbose_name_plural = _("captures")

    def __str__(self) -> str:
        return str(self.client_uuid)

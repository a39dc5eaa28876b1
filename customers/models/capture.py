from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core_apps.common.models import TimeStampedModel
from customers.models.visit import Visit


class Capture(TimeStampedModel):
    """A recorded entry of the capture form: a device may send it again until it receives the response.

    Separate from the visit, so that sending an entry again does not restore a deleted visit.
    """

    client_uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    visit = models.OneToOneField(Visit, models.SET_NULL, null=True, related_name="capture")
    captured_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        verbose_name = _("capture")
        verbose_name_plural = _("captures")

    def __str__(self) -> str:
        return str(self.client_uuid)

import secrets
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core_apps.common.visibility import VisibleToAll


def generate_key() -> str:
    return secrets.token_urlsafe(24)


class CalendarFeed(models.Model):
    """The address at which a calendar program reads a user's open follow-ups; whoever knows the key may read them."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(_("key"), max_length=32, unique=True, default=generate_key)

    objects: ClassVar[Any] = VisibleToAll.as_manager()

    class Meta:
        verbose_name = _("calendar feed")

    def __str__(self) -> str:
        return str(self.user)

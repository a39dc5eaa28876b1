from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeStampedModel(models.Model):
    """When a row was created and last changed; the database sets both for rows that bypass Django."""

    created_at = models.DateTimeField(_("created"), auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(_("updated"), auto_now=True, db_default=Now())

    class Meta:
        abstract = True


class PublicModel(TimeStampedModel):
    """A row with a random id for URLs, which does not reveal the number of rows."""

    public_id = models.UUIDField(
        _("public id"), unique=True, editable=False, db_default=RandomUUID(), help_text=_("Names it in URLs.")
    )

    class Meta:
        abstract = True


def get_row_version(row: Any) -> str:
    """The time of a row's last change in microseconds, in hexadecimal."""
    return format((row.updated_at - EPOCH) // timedelta(microseconds=1), "x")

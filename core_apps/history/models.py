"""The history: triggers write it (core_apps/history/triggers.py), so that it has every change, whatever made it."""

from functools import cache
from typing import Any, ClassVar, Self

from django.apps import apps
from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core_apps.history.cause import Source


class Change(models.Model):
    """Who changed rows in one transaction, when, and by what."""

    at = models.DateTimeField(db_default=Now())
    # Without a constraint, and unchanged when the user is deleted: neither costs a query for each write.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, db_index=False, related_name="+"
    )
    source = models.CharField(max_length=10, choices=Source)
    detail = models.TextField(blank=True)  # the token, file or command

    class Meta:
        indexes = (models.Index(fields=("-id",), name="history_import", condition=Q(source="import")),)

    def __str__(self) -> str:
        label = str(Source(self.source).label)
        return f"{label} ({self.detail})" if self.detail else label

    @property
    def by(self) -> str:
        """The user and what they used; for an import or a command without a user only that."""
        return f"{self.user}, {self}" if self.user_id and self.user else str(self)


class RowChangeQuerySet(models.QuerySet["RowChange"]):
    def about(self, subject: int) -> Self:
        """The changes of the person and of all rows about them, the newest first."""
        return self.filter(subject=subject).select_related("change__user").order_by("-pk")

    def of(self, row: models.Model) -> Self:
        """The changes of the row and of its many-to-many relations, the newest first."""
        tables = [row._meta.db_table, *(field.m2m_db_table() for field in row._meta.local_many_to_many)]
        return self.filter(table__in=tables, row=row.pk).select_related("change__user").order_by("-pk")


class RowChange(models.Model):
    """What happened to one row: all its values if it was added or deleted, otherwise those that changed."""

    class Action(models.TextChoices):
        ADD = "I", _("Added")
        CHANGE = "U", _("Changed")
        DELETE = "D", _("Deleted")

    change = models.ForeignKey(Change, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="rows")
    action = models.CharField(max_length=1, choices=Action)
    table = models.TextField()
    row = models.BigIntegerField()
    # The person whom the row is about; their deletion removes the values.
    subject = models.BigIntegerField(null=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    objects: ClassVar[RowChangeQuerySet] = RowChangeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        indexes = (
            models.Index(fields=("row", "table", "id"), name="history_of_row"),
            models.Index(fields=("subject", "id"), name="history_of_subject", condition=Q(subject__isnull=False)),
            # Rows of a change are neighbours.
            BrinIndex(fields=("change",), name="history_of_change", autosummarize=True),
        )

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.table} {self.row}"

    @property
    def title(self) -> str:
        """What happened to which kind of row; a many-to-many row is of no kind."""
        model, action = find_model(self.table), str(self.get_action_display())
        return action if not model or model._meta.auto_created else f"{capfirst(model._meta.verbose_name)}: {action}"


@cache
def find_model(table: str) -> Any:
    models_by_table = {model._meta.db_table: model for model in apps.get_models(include_auto_created=True)}
    return models_by_table.get(table)

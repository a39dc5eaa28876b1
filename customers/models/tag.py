from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from core_apps.common.models import PublicModel
from core_apps.common.visibility import VisibleToAll


class Tag(PublicModel):
    """A label for customers."""

    name = models.CharField(_("name"), max_length=50)

    objects: ClassVar[VisibleToAll["Tag"]] = VisibleToAll.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        ordering = ("name", "pk")
        indexes = (models.Index(fields=("name", "id"), name="tag_by_name"),)
        constraints = (
            models.CheckConstraint(name="tag_name_not_blank", condition=~Q(name="")),
            models.UniqueConstraint(
                Upper("name"), name="tag_unique_name", violation_error_message=_("This tag already exists.")
            ),
        )

    def __str__(self) -> str:
        return self.name

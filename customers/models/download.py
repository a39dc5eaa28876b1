from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.db import models, transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from core_apps.media.photos.fields import delete_files
from core_apps.tasks.jobs import Job

FOLDER = "downloads"
KEEP = timedelta(hours=24)


class Download(Job):
    """A file that a worker makes for its owner. It holds personal data, so it is deleted after a day."""

    name = models.CharField(_("file name"), max_length=255)
    # Blank until it is complete.
    file = models.FileField(_("file"), blank=True)

    class Meta:
        verbose_name = _("download")
        verbose_name_plural = _("downloads")
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=("owner", "-created_at", "-id"), name="download_by_owner"),)

    def __str__(self) -> str:
        return self.name

    @property
    def deleted_at(self) -> datetime:
        return self.created_at + KEEP

    def build_file_name(self, attempt: int) -> str:
        """Each attempt has a file of its own, so that none writes into that of another one."""
        return f"{FOLDER}/{self.pk}-{attempt}{Path(self.name).suffix}"

    def delete_files(self) -> None:
        """Those of killed workers too."""
        with suppress(FileNotFoundError):  # before the first download
            _folders, names = default_storage.listdir(FOLDER)
            delete_files(default_storage, [f"{FOLDER}/{name}" for name in names if name.startswith(f"{self.pk}-")])


@receiver(post_delete, sender=Download)
def delete_files_after_row(instance: Download, **_signal: Any) -> None:
    """With its owner too, of whom Django deletes the rows without their `delete`."""
    transaction.on_commit(instance.delete_files, robust=True)

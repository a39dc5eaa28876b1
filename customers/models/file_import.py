from typing import Any

from django.core.validators import FileExtensionValidator
from django.db import models
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from core_apps.media.photos.fields import delete_on_commit
from core_apps.tasks.jobs import Job

EXTENSIONS = ("csv", "txt", "tsv", "xlsx", "xlsm", "vcf")


def build_path(job: Any, name: str) -> str:
    return f"imports/{job.pk}.{name.rpartition('.')[2].lower()}"


class FileImport(Job):
    """A file to import: checked first, so that its rows are seen as they would be stored."""

    class Kind(models.TextChoices):
        CUSTOMERS = "customer", _("Customers")
        COMPANIES = "company", _("Companies")

    class Step(models.TextChoices):
        CHECK = "check", _("Check")
        IMPORT = "import", _("Import")
        REVERT = "revert", _("Revert")

    kind = models.CharField(_("contains"), max_length=10, choices=Kind, default=Kind.CUSTOMERS)
    file = models.FileField(_("file"), upload_to=build_path, validators=[FileExtensionValidator(EXTENSIONS)])
    name = models.CharField(_("file name"), max_length=255)
    step = models.CharField(_("step"), max_length=10, choices=Step, default=Step.CHECK)
    encoding = models.CharField(_("encoding"), max_length=30, blank=True)
    # Pairs of header and field; a blank field leaves the column out.
    columns = models.JSONField(_("columns"), default=list)
    report: Any = models.JSONField(_("report"), null=True)
    faults = models.FileField(_("rejected rows"), blank=True)
    # The id of the history's Change, by which the import is reverted.
    change = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=("owner", "-created_at", "-id"), name="import_by_owner"),)

    def __str__(self) -> str:
        return self.name

    @property
    def can_be_checked(self) -> bool:
        return not self.is_active and self.change is None

    @property
    def can_be_imported(self) -> bool:
        """After a check, and again after an import that failed."""
        checked = self.step == self.Step.CHECK and self.state == self.State.DONE
        return checked or (self.step == self.Step.IMPORT and self.state in (self.State.FAILED, self.State.CANCELLED))

    @property
    def can_be_reverted(self) -> bool:
        return self.change is not None and not self.is_active and not (self.report or {}).get("reverted")


@receiver(post_delete, sender=FileImport)
def delete_files_after_row(instance: FileImport, **_signal: Any) -> None:
    """With its owner too, and by an action of the admin, which both do without `delete` of the row."""
    delete_on_commit(instance.file.storage, [str(file.name) for file in (instance.file, instance.faults) if file])

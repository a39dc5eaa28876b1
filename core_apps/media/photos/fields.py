"""The form field and the model field of a photo, and when its files are deleted."""

import logging
import weakref
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.files.storage import Storage
from django.db import models, transaction
from django.db.models import signals
from django.db.models.fields.files import ImageFieldFile
from django.utils.translation import gettext_lazy as _

from core_apps.media.photos.image import TYPES, Photo, read_photo

logger = logging.getLogger(__name__)

SMALL = "_small"


def get_small_name(name: str) -> str:
    """The file name of the thumbnail of a photo."""
    stem, dot, extension = name.rpartition(".")
    return f"{stem}{SMALL}{dot}{extension}"


class PhotoInput(forms.ClearableFileInput):
    """Shows the current photo; phone browsers offer the camera by themselves."""

    template_name = "photos/photo_input.html"
    clear_checkbox_label = _("Delete the photo")  # type: ignore[assignment]


class PhotoFormField(forms.FileField):
    """Converts an upload to a Photo. Its name is not stored, so it may have any length."""

    widget = PhotoInput

    def __init__(self, *, max_length: int | None = None, **options: Any) -> None:
        super().__init__(**options)

    def to_python(self, data: Any) -> Any:
        upload = super().to_python(data)
        return upload and read_photo(upload)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return super().widget_attrs(widget) | {"accept": ",".join(TYPES.values())}


class PhotoFile(ImageFieldFile):
    """The photo and its thumbnail; `save` writes both."""

    small_name = property(lambda self: get_small_name(self.name))
    small_url = property(lambda self: self.storage.url(self.small_name))

    def save(self, name: str, content: Any, save: bool = True) -> None:
        photo = content if isinstance(content, Photo) else read_photo(content)
        self.name = self.field.generate_filename(self.instance, name)
        transaction.on_commit(RollbackCleanup(self.storage, self.names))
        for part, stored_name in zip((photo, photo.small), self.names, strict=True):
            self.storage.save(stored_name, part)
        setattr(self.instance, self.field.attname, self.name)
        self._committed = True
        if save:
            self.instance.save()

    def delete(self, save: bool = True) -> None:
        self.storage.delete(self.small_name)
        super().delete(save=save)

    @property
    def names(self) -> list[str]:
        return [str(self.name), self.small_name]


class PhotoField(models.ImageField):
    """Files are written before their row and deleted after it, so no row names a missing file.

    Needs save() in a transaction; QuerySet.update() leaves old files behind.
    """

    attr_class = PhotoFile
    if TYPE_CHECKING:

        def __get__(self, instance: Any, owner: Any) -> Any: ...  # a PhotoFile

    def formfield(self, **options: Any) -> Any:
        # The admin would replace the widget.
        return super().formfield(**options | {"form_class": PhotoFormField, "widget": PhotoInput})

    def deconstruct(self) -> Any:
        """Django's field in migrations: the column is the same."""
        name, _path, args, options = super().deconstruct()
        return name, "django.db.models.ImageField", args, options

    def contribute_to_class(self, cls: type[models.Model], name: str, **options: Any) -> None:  # type: ignore[override]
        super().contribute_to_class(cls, name, **options)
        signals.post_delete.connect(self.delete_after_row, sender=cls)

    def pre_save(self, instance: models.Model, add: bool) -> Any:
        file = getattr(instance, self.attname)
        if not add and not (file and file._committed):  # replaced or removed
            rows = type(instance)._base_manager.filter(pk=instance.pk)
            if old_name := rows.values_list(self.attname, flat=True).first():
                delete_on_commit(self.storage, [old_name, get_small_name(old_name)])
        return super().pre_save(instance, add)

    def delete_after_row(self, instance: models.Model, **_signal: Any) -> None:
        if file := getattr(instance, self.attname):
            delete_on_commit(self.storage, file.names)


class RollbackCleanup:
    """An on_commit callback that deletes the files if it is garbage-collected without being called.

    Django has no rollback hook, but a rollback drops the on_commit callbacks.
    """

    def __init__(self, storage: Storage, names: Iterable[str]) -> None:
        self.undo = weakref.finalize(self, delete_files, storage, names)

    def __call__(self) -> None:
        self.undo.detach()


def delete_on_commit(storage: Storage, names: Iterable[str]) -> None:
    transaction.on_commit(partial(delete_files, storage, names))


def delete_files(storage: Storage, names: Iterable[str]) -> None:
    """Logs errors instead of raising: the commit is done, and a left-over file does no harm."""
    for name in names:
        try:
            storage.delete(name)
        except Exception as error:  # each storage has errors of its own
            logger.warning("Could not delete the file %s: %s", name, error)

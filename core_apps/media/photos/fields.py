"""The form field and the model field of a photo, and the life of its files."""

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

from core_apps.media.photos.reading import TYPES, Photo, photo_of

logger = logging.getLogger(__name__)

SMALL = "_small"


def small_name(name: str) -> str:
    """The thumbnail's, beside that of its photo."""
    stem, dot, extension = name.rpartition(".")
    return f"{stem}{SMALL}{dot}{extension}"


class PhotoInput(forms.ClearableFileInput):
    """Shows the photo that is there; a camera of a phone is offered by the browser itself."""

    template_name = "photos/photo_input.html"
    clear_checkbox_label = _("Delete the photo")  # type: ignore[assignment]


class PhotoFormField(forms.FileField):
    """Makes a Photo of what is uploaded, or says why not. No limit to its name, of which nothing is kept."""

    widget = PhotoInput

    def __init__(self, *, max_length: int | None = None, **options: Any) -> None:
        super().__init__(**options)

    def to_python(self, data: Any) -> Any:
        upload = super().to_python(data)
        return upload and photo_of(upload)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return super().widget_attrs(widget) | {"accept": ",".join(TYPES.values())}


class PhotoFile(ImageFieldFile):
    """The photo and, beside it, its thumbnail; whatever is saved becomes both."""

    small_name = property(lambda self: small_name(self.name))
    small_url = property(lambda self: self.storage.url(self.small_name))

    def save(self, name: str, content: Any, save: bool = True) -> None:
        photo = content if isinstance(content, Photo) else photo_of(content)
        self.name = self.field.generate_filename(self.instance, name)
        transaction.on_commit(Written(self.storage, self.names))
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
    """Files are written before their row, so that no row names what is not there, and deleted after it.

    Needs a save() in a transaction, by whose end it knows what to delete, and sees nothing of QuerySet.update().
    """

    attr_class = PhotoFile
    if TYPE_CHECKING:

        def __get__(self, instance: Any, owner: Any) -> Any: ...  # a PhotoFile

    def formfield(self, **options: Any) -> Any:
        # The admin has a widget of its own for any image.
        return super().formfield(**options | {"form_class": PhotoFormField, "widget": PhotoInput})

    def deconstruct(self) -> Any:
        """For a migration, Django's own: the column is the same."""
        name, _path, args, options = super().deconstruct()
        return name, "django.db.models.ImageField", args, options

    def contribute_to_class(self, cls: type[models.Model], name: str, **options: Any) -> None:  # type: ignore[override]
        super().contribute_to_class(cls, name, **options)
        signals.post_delete.connect(self.row_deleted, sender=cls)

    def pre_save(self, instance: models.Model, add: bool) -> Any:
        file = getattr(instance, self.attname)
        if not add and not (file and file._committed):  # a new one, or none any more
            rows = type(instance)._base_manager.filter(pk=instance.pk)
            if replaced := rows.values_list(self.attname, flat=True).first():
                delete_on_commit(self.storage, [replaced, small_name(replaced)])
        return super().pre_save(instance, add)

    def row_deleted(self, instance: models.Model, **_signal: Any) -> None:
        if file := getattr(instance, self.attname):
            delete_on_commit(self.storage, file.names)


class Written:
    """Files of a transaction that is not committed yet; forgotten before it was called, it deletes them.

    Django has no hook for a rollback, but it forgets there what on_commit was given.
    """

    def __init__(self, storage: Storage, names: Iterable[str]) -> None:
        self.undo = weakref.finalize(self, delete, storage, names)

    def __call__(self) -> None:
        self.undo.detach()


def delete_on_commit(storage: Storage, names: Iterable[str]) -> None:
    transaction.on_commit(partial(delete, storage, names))


def delete(storage: Storage, names: Iterable[str]) -> None:
    """Raises nothing: what the database has done is done, and a file that stays is one too many, no more."""
    for name in names:
        try:
            storage.delete(name)
        except OSError as error:
            logger.warning("The file %s could not be deleted: %s", name, error)

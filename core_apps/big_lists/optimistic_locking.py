"""Optimistic locking of admin forms: the second of two people to save gets an error.

The API's ETag contains the same version of a row.
"""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from core_apps.common.models import TimeStampedModel, get_row_version
from core_apps.history.models import RowChange

VERSION = "version"


class VersionField(forms.CharField):
    """Never counts as changed, so the history does not mention it."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class UnlabelledInput(forms.HiddenInput):
    """The admin writes a label for each field, and HTML allows none for one that is hidden."""

    def id_for_label(self, id_: str) -> str:
        return ""


class VersionForm(forms.ModelForm):  # type: ignore[type-arg]
    """Contains the version of the row that the user saw, and leaves times alone that the user did not change."""

    version = VersionField(widget=UnlabelledInput, required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk:
            self.initial[VERSION] = get_row_version(self.instance)

    def clean(self) -> Any:
        values = super().clean()
        seen = self.cleaned_data.get(VERSION)
        if self.instance.pk and seen and (row := self.get_changed_row(seen)):
            raise ValidationError(build_message(row), code="outdated")
        self.restore_unchanged_times()
        return values

    def restore_unchanged_times(self) -> None:
        """The inputs show neither microseconds nor which of two equal times is meant when clocks are put back."""
        for name in self.cleaned_data.keys() - set(self.changed_data) if self.instance.pk else ():
            if isinstance(self.initial.get(name), datetime):
                self.cleaned_data[name] = self.initial[name]

    def get_changed_row(self, version: str) -> Model | None:
        """The row if its version differs; locked until the end of the admin's transaction."""
        row = type(self.instance)._base_manager.select_for_update(of=("self",)).get(pk=self.instance.pk)
        return row if get_row_version(row) != version else None


def build_message(row: Any) -> SafeString:
    by = get_last_editor(row)
    moment = date_format(timezone.localtime(row.updated_at), "SHORT_DATETIME_FORMAT")
    text = _("%(person)s changed this on %(moment)s.") if by else _("This was changed on %(moment)s.")
    advice = _("Your changes were not saved. Reload the page and apply them again.")
    return format_html("{} {}", text % {"person": by, "moment": moment}, advice)


def get_last_editor(row: Any) -> str:
    """Blank if the history does not know."""
    last = RowChange.objects.of(row).filter(change__at__gte=row.updated_at).first()
    return str(last.change.user or last.change) if last else ""


class OptimisticLocking:
    """For a ModelAdmin: a form is invalid if a TimeStampedModel has changed since the form was loaded."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if self.is_versioned():
            form: Any = options.get("form", self.form)  # type: ignore[attr-defined]
            options["form"] = type(form.__name__, (VersionForm, form), {})
        return super().get_form(request, obj, change=change, **options)  # type: ignore[misc]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)  # type: ignore[misc]
        if not self.is_versioned():
            return fieldsets
        (name, options), *more = fieldsets
        fields = [field for field in options["fields"] if field != VERSION]
        is_form = obj is not None and self.has_change_permission(request, obj)  # type: ignore[attr-defined]
        return [(name, options | {"fields": (*fields, VERSION) if is_form else fields}), *more]

    def is_versioned(self) -> bool:
        return issubclass(self.model, TimeStampedModel)  # type: ignore[attr-defined]

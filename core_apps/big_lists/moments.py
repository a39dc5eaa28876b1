"""Inputs for a date and a time that say in which time zone they are."""

from datetime import UTC, datetime, tzinfo
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminSplitDateTime
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _


class MomentWidget(AdminSplitDateTime):
    time_label: Any = None

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        label = self.time_label or _("Time (%(zone)s):") % {"zone": timezone.get_current_timezone_name()}
        return super().get_context(name, value, attrs) | {"time_label": label}


class MomentField(forms.SplitDateTimeField):
    """In the time zone `zone` or, by default, that of the person.

    Unlike Django's, accepts a time that occurs twice because clocks are put back, and means the first one.
    """

    widget = MomentWidget
    zone: tzinfo | None = None

    def get_zone(self) -> tzinfo:
        return self.zone or timezone.get_current_timezone()

    def prepare_value(self, value: Any) -> Any:
        is_aware = isinstance(value, datetime) and timezone.is_aware(value)
        return timezone.make_naive(value, self.get_zone()) if is_aware else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def compress(self, data_list: Any) -> datetime | None:
        with timezone.override(UTC):
            entered = super().compress(data_list)
        if entered is None:
            return None
        moment: datetime = entered.replace(tzinfo=self.get_zone())
        if moment.astimezone(UTC).astimezone(self.get_zone()).time() != moment.time():
            text = _("There is no such time on this day in %(zone)s, because clocks are put forward.")
            raise ValidationError(text % {"zone": self.get_zone()}, code="invalid")
        return moment

from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core_apps.accounts.models import User
from core_apps.api.serializers import DateTimeField, RelatedField
from customers.models import Customer, Tag, Visit

MAX_TAGS = 50


@extend_schema_field({"type": "string", "format": "email", "nullable": True})
class ColleagueField(RelatedField):
    """A member of the team by e-mail address, case-insensitive."""

    def __init__(self, **options: Any) -> None:
        if not options.get("read_only"):
            options["queryset"] = User.objects.filter(is_active=True)
        super().__init__(slug_field="email", **options)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data.strip().lower() if isinstance(data, str) else "")


class LocalTimeField(DateTimeField):
    """The time of a visit, represented in the time zone of its exhibition."""

    def get_attribute(self, instance: Visit) -> datetime:
        return instance.local_time

    def to_representation(self, value: datetime) -> str:
        return value.isoformat().replace("+00:00", "Z")


class TagNamesField(serializers.ListField):
    """The names of a customer's tags in alphabetical order; only existing tags are accepted."""

    child = serializers.CharField(max_length=50)
    default_error_messages = {"unknown": _("There is no tag named “{name}”.")}  # noqa: RUF012 - as DRF has it

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_TAGS, required=False, **options)

    def get_attribute(self, instance: Customer) -> list[str]:
        """Return the names annotated by the list's query, or query them for a row that was just written."""
        names = getattr(instance, "tag_names", None)
        return list(instance.tags.values_list("name", flat=True)) if names is None else names

    def to_internal_value(self, data: Any) -> list[Tag]:
        names = super().to_internal_value(data)
        known = {tag.name: tag for tag in Tag.objects.filter(name__in=names)}
        for name in names:
            if name not in known:
                self.fail("unknown", name=name)
        return list(known.values())

    def to_representation(self, names: list[str]) -> list[str]:
        return names

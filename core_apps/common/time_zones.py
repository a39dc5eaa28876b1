"""Time zones by their IANA names, and the model field for one."""

import zoneinfo
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.apps import apps
from django.core.checks import CheckMessage, Warning
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.utils.translation import gettext_lazy as _

# Names elsewhere, such as localtime or EST5EDT, are aliases and abbreviations, which not every system has.
REGIONS = (
    *("Africa/", "America/", "Antarctica/", "Arctic/", "Asia/", "Atlantic/"),
    *("Australia/", "Europe/", "Indian/", "Pacific/"),
)


@cache
def get_python_zones() -> set[str]:
    """Cached: Python reads directories for it."""
    return zoneinfo.available_timezones()


def is_regional(name: str) -> bool:
    """Return whether Python knows this zone, of a region or UTC."""
    return name == "UTC" or (name.startswith(REGIONS) and name in get_python_zones())


@cache
def get_known_zones() -> frozenset[str]:
    """Return the names of time zones that both Python and PostgreSQL know."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names")
        return frozenset(name for (name,) in cursor.fetchall() if name in get_python_zones())


@cache
def get_time_zone_names() -> list[str]:
    """Return the known time zones of regions, and UTC: those to choose from."""
    return sorted(filter(is_regional, get_known_zones()))


def get_zone(name: str, default: str = "UTC") -> ZoneInfo:
    """Return the zone of a stored name; the default if it is blank, or not known (any more)."""
    return ZoneInfo(name if name in get_known_zones() else default)


def validate_time_zone(name: str) -> None:
    if name not in get_time_zone_names():
        raise ValidationError(_("“%(value)s” is not a time zone such as Europe/Berlin."), params={"value": name})


def get_choices() -> list[tuple[str, str]]:
    return [("", "---------"), *((name, name) for name in get_time_zone_names())]


class TimeZoneField(models.CharField):  # type: ignore[type-arg]
    """The name of a time zone, chosen from a list."""

    default_validators = [validate_time_zone]  # noqa: RUF012 - Django's own attribute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 50)
        super().__init__(*args, **kwargs)

    def formfield(self, **kwargs: Any) -> Any:
        field: Any = super().formfield(**kwargs)
        # Set late: the field would give it the length limit of a text input, which HTML forbids here.
        field.widget = forms.Select(choices=get_choices())
        return field


def check_time_zones(*, databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """A Django system check that names rows with a time zone that Python or PostgreSQL does not know."""
    if "default" not in (databases or ()):
        return []
    hint = "Choose another one in the admin, such as Europe/Berlin; meanwhile the default applies."
    return [
        Warning(f"The time zone “{name}” of {row} is unknown.", hint=hint, id="time_zones.W001")
        for row, name in find_unknown_zones()
    ]


def find_unknown_zones() -> Iterator[tuple[str, str]]:
    for model in apps.get_models():
        for field in model._meta.local_fields:
            # `migrate` runs the checks before it adds the column.
            if isinstance(field, TimeZoneField) and has_column(model._meta.db_table, field.column):
                rows = model._base_manager.exclude(**{f"{field.name}__in": {"", *get_known_zones()}})
                for pk, name in rows.values_list("pk", field.name):
                    yield f"{model._meta.verbose_name} {pk}", name


def has_column(table: str, column: str | None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s", [table, column])
        return bool(cursor.rowcount)

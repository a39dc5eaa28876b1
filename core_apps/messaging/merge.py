"""Merge fields of texts: `{given_name}`, or `{given_name|visitor}` with a word for who has none. Names, no code."""

import re
from collections.abc import Iterable, Mapping

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

FIELD = re.compile(r"\{(\w+)(?:\|([^{}]*))?\}")


def validate_fields(text: str, names: Iterable[str]) -> None:
    """Raises ValidationError for a field that has none of these names."""
    unknown = {name for name, _default in FIELD.findall(text)}.difference(names)
    for name in sorted(unknown):
        fields = ", ".join(f"{{{field}}}" for field in names)
        raise ValidationError(
            _("There is no field {%(name)s}. Write one of %(fields)s."), params={"name": name, "fields": fields}
        )


def merge_line(text: str, values: Mapping[str, str]) -> str:
    """Merge to one line, as in a header, which may have no line breaks."""
    return " ".join(merge(text, values).split())


def merge(text: str, values: Mapping[str, str]) -> str:
    return FIELD.sub(lambda field: values[field[1]] or field[2] or "", text)

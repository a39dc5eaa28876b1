"""The values of history entries as text."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.contrib.admin.utils import display_for_field
from django.db.models import DateTimeField, Model
from django.utils.text import capfirst
from django.utils.timezone import get_current_timezone_name

from core_apps.common.visibility import filter_visible
from core_apps.history.models import RowChange, find_model

Names = dict[tuple[type[Model], Any], str]


class Line(NamedTuple):
    label: str
    before: str
    after: str


def load_lines(entries: Iterable[RowChange], user: Any) -> list[tuple[RowChange, list[Line]]]:
    """Return the entries with their lines; a related row that the user may not see is only its number."""
    entries = list(entries)
    names = load_names(entries, user)
    return [(entry, [build_line(entry, field, names) for field in list_fields(entry)]) for entry in entries]


def list_fields(entry: RowChange) -> Iterator[Any]:
    """Yield the fields that changed or, of a row that was added or deleted, those with a value that people enter."""
    model, before, after = find_model(entry.table), entry.before or {}, entry.after or {}
    for field in model._meta.concrete_fields if model else ():
        old, new, blank = before.get(field.column), after.get(field.column), field.empty_values
        has_changed = old != new and not (old in blank and new in blank)
        # A many-to-many row names its owner, whose page this is.
        is_owner = model._meta.auto_created and field.related_model is model._meta.auto_created
        if has_changed and not is_owner and not field.primary_key and (field.editable or entry.action == "U"):
            yield field


def load_names(entries: list[RowChange], user: Any) -> Names:
    """Return the related rows' names by one query for each model."""
    keys: defaultdict[Any, set[Any]] = defaultdict(set)
    for entry in entries:
        for field in list_fields(entry):
            if field.related_model:
                keys[field.related_model] |= {
                    (values or {}).get(field.column) for values in (entry.before, entry.after)
                }
    return {
        (model, row.pk): str(row)
        for model, some in keys.items()
        for row in filter_visible(model._default_manager.filter(pk__in=some - {None}), user).select_related()
    }


def build_line(entry: RowChange, field: Any, names: Names) -> Line:
    before, after = (
        format_value(field, (values or {}).get(field.column), names) for values in (entry.before, entry.after)
    )
    return Line(capfirst(str(field.verbose_name)), before, after)


def format_value(field: Any, value: Any, names: Names) -> str:
    if value in field.empty_values:
        return ""
    if field.related_model:
        return names.get((field.related_model, value), f"#{value}")
    text = str(display_for_field(field.to_python(value), field, "", avoid_link=True))
    return f"{text} ({get_current_timezone_name()})" if isinstance(field, DateTimeField) else text

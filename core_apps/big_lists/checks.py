"""Django system checks: every sort order of a list has an index."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.core.checks import CheckMessage, Error
from django.db.models import Model

from core_apps.big_lists.admin import BigTableAdmin
from core_apps.big_lists.pagination import Ordering, reverse


def check_sorting(model: type[Model], sortings: Mapping[str, Ordering], source: str) -> Iterable[CheckMessage]:
    for name, ordering in sortings.items():
        columns = [column.replace("pk", model._meta.pk.attname) for column in ordering]
        if not has_index(model, columns):
            yield Error(
                f"{source} sorts by {name}, but no index starts with the columns {', '.join(columns)}.",
                hint=f"Add models.Index(fields={tuple(columns)}, …) to {model.__name__}.Meta.indexes.",
                obj=model,
                id="big_lists.E001",
            )


def has_index(model: type[Model], columns: Ordering) -> bool:
    """Whether an unconditional index has this order, forward or backward."""
    for index in model._meta.indexes:
        indexed = [f"-{name}" if order else name for name, order in index.fields_orders][: len(columns)]
        if index.condition is None and indexed in (list(columns), list(reverse(columns))):
            return True
    return False


def check_admin(**_options: Any) -> list[CheckMessage]:
    return [
        error
        for model, model_admin in admin.site._registry.items()
        if isinstance(model_admin, BigTableAdmin)
        for error in check_sorting(model, model_admin.list_sorting, type(model_admin).__name__)
    ]

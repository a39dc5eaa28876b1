"""Checks of Django's, of every list: PostgreSQL finds its rows in their order by an index."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import admin
from django.core.checks import CheckMessage, Error
from django.db.models import Model

from core_apps.big_lists.admin import BigTableAdmin
from core_apps.big_lists.pagination import Ordering, reverse


def check_sorting(model: type[Model], sortings: Mapping[str, Ordering], shown_by: str) -> Iterable[CheckMessage]:
    for name, ordering in sortings.items():
        columns = [column.replace("pk", model._meta.pk.attname) for column in ordering]
        if not has_index(model, columns):
            yield Error(
                f"{shown_by} sorts by {name}, and no index begins with the columns {', '.join(columns)}.",
                hint=f"Add models.Index(fields={tuple(columns)}, …) to {model.__name__}.Meta.indexes.",
                obj=model,
                id="big_lists.E001",
            )


def has_index(model: type[Model], columns: Ordering) -> bool:
    """One without a condition, which can be read from either end."""
    for index in model._meta.indexes:
        indexed = [f"-{name}" if order else name for name, order in index.fields_orders][: len(columns)]
        if index.condition is None and indexed in (list(columns), list(reverse(columns))):
            return True
    return False


def check_admin(**_options: Any) -> list[CheckMessage]:
    return [
        error
        for model, shown in admin.site._registry.items()
        if isinstance(shown, BigTableAdmin)
        for error in check_sorting(model, shown.list_sorting, type(shown).__name__)
    ]

"""Who sees which rows: a model says it by `visible_to(user)` of its QuerySet. One that says nothing is shown to nobody.

Django's own models are left to Django's permissions.
"""

from collections.abc import Iterator
from typing import Any, Self, TypeVar

from django.contrib import admin
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest

M = TypeVar("M", bound=Model)

HINT = "Give its QuerySet a method visible_to(user), or derive it from VisibleToAll (core_apps/common/visibility.py)."


class VisibleToAll(QuerySet[M]):
    """The rows of a model that everybody sees who has the permission to view it."""

    def visible_to(self, user: Any) -> Self:
        return self


class VisibleRows:
    """A mixin of the admin: shows, and offers as a choice, only rows that are visible to the person."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible_rows(super().get_queryset(request), request.user)  # type: ignore[misc]

    def get_field_queryset(self, db: str | None, field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        queryset = super().get_field_queryset(db, field, request)  # type: ignore[misc]
        rows = field.remote_field.model._default_manager.using(db) if queryset is None else queryset
        return visible_rows(rows, request.user)


def visible_rows(rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
    """Raises ImproperlyConfigured where the model does not say who sees its rows."""
    if is_djangos(rows.model):
        return rows
    if missing := check_rule(rows.model):
        raise ImproperlyConfigured(f"{missing[0].msg} {HINT}")
    visible: QuerySet[Any] = rows.visible_to(user)  # type: ignore[attr-defined]
    return visible


def is_djangos(model: type[Model]) -> bool:
    return model.__module__.startswith("django.")


def check_rule(model: type[Model]) -> list[CheckMessage]:
    if is_djangos(model) or hasattr(model._default_manager.all(), "visible_to"):
        return []
    return [Error(f"{model.__name__} does not say who sees its rows.", hint=HINT, obj=model, id="visibility.E001")]


def check_admin(**_options: Any) -> list[CheckMessage]:
    """A check of Django's, of all models that an admin site shows and of those that its forms offer as a choice."""
    found = []
    for site in admin.sites.all_sites:
        for model, model_admin in site._registry.items():
            found += [error for shown in {model, *related_models(model)} for error in check_rule(shown)]
            if not is_djangos(model) and not isinstance(model_admin, VisibleRows):
                name = type(model_admin).__name__
                hint = "Derive it from BigTableAdmin (core_apps/big_lists), or from VisibleRows."
                found.append(Error(f"{name} shows all rows to everybody.", hint=hint, obj=model, id="visibility.E002"))
    return list({(error.id, error.obj): error for error in found}.values())


def related_models(model: type[Model]) -> Iterator[Any]:
    fields: list[Field[Any, Any]] = [*model._meta.fields, *model._meta.many_to_many]
    return (field.related_model for field in fields if field.related_model)

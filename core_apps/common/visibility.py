"""Visibility of rows: the QuerySet of a model has `visible_to(user)`. Models without it are an error.

Django's own models have only Django's permissions.
"""

from collections.abc import Iterator
from typing import Any, Self, TypeVar

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.checks import CheckMessage, Error
from django.core.exceptions import BadRequest, ImproperlyConfigured, ValidationError
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest

from core_apps.common.change_list import StrictChangeList

M = TypeVar("M", bound=Model)

HINT = (
    "Add visible_to(user) to its QuerySet or, if all users may see all rows, objects = VisibleToAll.as_manager()"
    " (core_apps/common/visibility.py)."
)


class VisibleToAll(QuerySet[M]):
    """For models whose rows are visible to all users with the view permission."""

    def visible_to(self, user: Any) -> Self:
        return self


class VisibleRows:
    """A ModelAdmin mixin: lists and form choices contain only rows visible to the user."""

    def get_changelist(self, request: HttpRequest, **_options: Any) -> type[ChangeList]:
        return StrictChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return filter_visible(super().get_queryset(request), request.user)  # type: ignore[misc]

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *more: Any, **options: Any) -> Any:
        """Raises BadRequest for rows that no list has offered."""
        pk = self.opts.pk  # type: ignore[attr-defined]
        if not all(is_key(pk, one) for one in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("A selected row has no key.")
        return super().response_action(request, queryset, *more, **options)  # type: ignore[misc]

    def get_field_queryset(self, db: str | None, field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        queryset = super().get_field_queryset(db, field, request)  # type: ignore[misc]
        rows = field.remote_field.model._default_manager.using(db) if queryset is None else queryset
        return filter_visible(rows, request.user)


class ApplicationRows(VisibleRows):
    """Rows that the application writes: people look at them, and act on them by actions only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in self.opts.fields]  # type: ignore[attr-defined]


def is_key(pk: Any, value: Any) -> bool:
    """Whether a primary key may have this value."""
    try:
        pk.clean(value, None)
    except ValidationError:
        return False
    return True


def filter_visible(rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
    """The rows visible to the user. Raises ImproperlyConfigured if the model has no visibility rule."""
    if is_django_model(rows.model):
        return rows
    if missing := check_visibility_rule(rows.model):
        raise ImproperlyConfigured(f"{missing[0].msg} {HINT}")
    visible: QuerySet[Any] = rows.visible_to(user)  # type: ignore[attr-defined]
    return visible


def is_django_model(model: type[Model]) -> bool:
    return model.__module__.startswith("django.")


def check_visibility_rule(model: type[Model]) -> list[CheckMessage]:
    if is_django_model(model) or hasattr(model._default_manager.all(), "visible_to"):
        return []
    return [Error(f"{model.__name__} has no visibility rule.", hint=HINT, obj=model, id="visibility.E001")]


def check_admin(**_options: Any) -> list[CheckMessage]:
    """A Django system check of all models in an admin site and of their related models."""
    registered = [pair for site in admin.sites.all_sites for pair in site._registry.items()]
    models = {related for model, _ in registered for related in (model, *get_related_models(model))}
    errors = [error for model in models for error in check_visibility_rule(model)]
    for model, model_admin in registered:
        if not is_django_model(model) and not isinstance(model_admin, VisibleRows):
            name = type(model_admin).__name__
            hint = "Derive it from BigTableAdmin (core_apps/big_lists), or from VisibleRows."
            errors.append(Error(f"{name} shows all rows to everybody.", hint=hint, obj=model, id="visibility.E002"))
    return errors


def get_related_models(model: type[Model]) -> Iterator[Any]:
    fields: list[Field[Any, Any]] = [*model._meta.fields, *model._meta.many_to_many]
    return (field.related_model for field in fields if field.related_model)

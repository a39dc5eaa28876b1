"""Pagination of the API: the keyset of the admin lists, with cursors in URLs."""

from collections.abc import Sequence
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.filters import BaseFilterBackend
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from core_apps.api import parameters
from core_apps.big_lists.pagination import AFTER, BEFORE, Keyset, KeysetPage, Ordering, reverse

CURSOR, SIZE, ORDERING, SEARCH = "cursor", "page_size", "ordering", "search"
DEFAULT_SIZE, MAX_SIZE = 50, 100


class StrictKeyset(Keyset):
    """Raises an error for an invalid cursor, where the admin shows the first page."""

    def page(self, cursor: str) -> KeysetPage:
        """Raises ValidationError for a cursor of another list or another order."""
        direction, *texts = self.decode_cursor(cursor) if cursor else [AFTER]
        return self.backward(texts) if direction == BEFORE else self.forward(texts)

    def decode_cursor(self, cursor: str) -> list[str]:
        try:
            return list(signing.loads(cursor, salt=self.salt))
        except signing.BadSignature:
            text = _("This cursor does not belong to this list and order. Start again without it.")
            raise parameters.build_error(CURSOR, "invalid", text) from None


def build_orderings(sortings: dict[str, Ordering]) -> dict[str, Ordering]:
    """By the values of `?ordering=`: `name` ascending, `-name` descending; the default first."""
    orderings: dict[str, Ordering] = {}
    for name, ordering in sortings.items():
        own, other = (f"-{name}", name) if ordering[0].startswith("-") else (name, f"-{name}")
        orderings |= {own: ordering, other: reverse(ordering)}
    return orderings


class CursorPages(BasePagination):
    """`?cursor=`, `?page_size=` and `?ordering=`; the view has `list_sorting` and `load_related(rows)`."""

    page: KeysetPage
    request: Request

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> Sequence[Any]:  # type: ignore[override]
        """Raises ValidationError."""
        self.request = request
        size = parameters.read_integer(request, SIZE, default=DEFAULT_SIZE, most=MAX_SIZE)
        ordering = parameters.read_choice(request, ORDERING, build_orderings(view.list_sorting))
        is_restricted = bool(view.get_queryset().query.where)
        keyset = StrictKeyset(queryset, ordering, size, view.load_related, is_restricted=is_restricted)
        self.page = keyset.page(request.query_params.get(CURSOR, ""))
        return self.page.rows

    def body(self, results: Any) -> dict[str, Any]:
        return {
            "next": self.address(self.page.next),
            "previous": self.address(self.page.previous),
            "results": results,
        }

    def address(self, cursor: str | None) -> str | None:
        return cursor and replace_query_param(self.request.build_absolute_uri(), CURSOR, cursor)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": address, "previous": address, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE}
        return [
            build_parameter(CURSOR, "Where the page begins: from `next` or `previous`.", parameters.TEXT),
            build_parameter(SIZE, "Rows per page.", size),
            build_parameter(
                ORDERING,
                "The order; a minus reverses it.",
                {"type": "string", "enum": list(build_orderings(view.list_sorting))},
            ),
        ]


def build_parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


class Search(BaseFilterBackend):
    """`?search=`, if the queryset has `matching(text)`."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        text = request.query_params.get(SEARCH)
        return queryset.matching(text) if text else queryset  # type: ignore[attr-defined]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        if not is_searchable(view.model):
            return []
        return [build_parameter(SEARCH, "Words that must all match.", parameters.TEXT)]


def is_searchable(model: Any) -> bool:
    return hasattr(model._default_manager.none(), "matching")

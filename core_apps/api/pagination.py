"""Pages of the API: the admin's keyset, named by an address instead of a link."""

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
USUAL_SIZE, MOST = 50, 100


class StrictKeyset(Keyset):
    """A program that follows `next` must not begin anew where a person would not mind."""

    def page(self, cursor: str) -> KeysetPage:
        """Raises ValidationError for a cursor of another list or another order."""
        direction, *texts = self.read(cursor) if cursor else [AFTER]
        return self.backward(texts) if direction == BEFORE else self.forward(texts)

    def read(self, cursor: str) -> list[str]:
        try:
            return list(signing.loads(cursor, salt=self.salt))
        except signing.BadSignature:
            text = _("This is no cursor of this list in this order: begin again without it.")
            raise parameters.refuse(CURSOR, "invalid", text) from None


def offered_orderings(sortings: dict[str, Ordering]) -> dict[str, Ordering]:
    """`name` goes upwards and `-name` downwards; the list's own order is the first."""
    offered: dict[str, Ordering] = {}
    for name, ordering in sortings.items():
        own, other = (f"-{name}", name) if ordering[0].startswith("-") else (name, f"-{name}")
        offered |= {own: ordering, other: reverse(ordering)}
    return offered


class CursorPages(BasePagination):
    """`?cursor=`, `?page_size=` and `?ordering=`; the view has `list_sorting` and `complete(rows)`."""

    page: KeysetPage
    request: Request

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> Sequence[Any]:  # type: ignore[override]
        """Raises ValidationError."""
        self.request = request
        size = parameters.whole_number(request, SIZE, default=USUAL_SIZE, most=MOST)
        ordering = parameters.one_of(request, ORDERING, offered_orderings(view.list_sorting))
        is_scoped = bool(view.get_queryset().query.where)
        keyset = StrictKeyset(queryset, ordering, size, view.complete, is_scoped=is_scoped)
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
        size = {"type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL_SIZE}
        return [
            in_query(CURSOR, "Where the page begins: taken from `next` or `previous`.", parameters.TEXT),
            in_query(SIZE, "Rows of a page.", size),
            in_query(
                ORDERING,
                "The order; a minus turns it round.",
                {"type": "string", "enum": list(offered_orderings(view.list_sorting))},
            ),
        ]


def in_query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


class Search(BaseFilterBackend):
    """`?search=`: the words of the queryset's own `matching(text)`; no parameter where it has none."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        text = request.query_params.get(SEARCH)
        return queryset.matching(text) if text else queryset  # type: ignore[attr-defined]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        if not is_searchable(view.model):
            return []
        return [in_query(SEARCH, "Words that all are to be found.", parameters.TEXT)]


def is_searchable(model: Any) -> bool:
    return hasattr(model._default_manager.none(), "matching")

"""Keyset pagination: a page starts after the last row of the page before, so all pages cost the same.

An OFFSET reads the rows that it skips. A cursor holds the values of a row instead, so that rows which are inserted or
deleted meanwhile neither repeat nor hide others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.core import signing
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import BooleanField, F, Field, Func, Model, QuerySet, TextField, Value

from core_apps.big_lists.counts import CappedCount, Count, capped_count

LAST = "last"
AFTER, BEFORE = "after", "before"
MAX_SUGGESTION_PAGES = 10  # of an autocomplete; another letter narrows it

Ordering = Sequence[str]
LoadRelated = Callable[[QuerySet[Any]], QuerySet[Any]]


def reverse(ordering: Ordering) -> Ordering:
    return [name.removeprefix("-") if name.startswith("-") else f"-{name}" for name in ordering]


def row_expression(expressions: Iterable[Any]) -> Func:
    return Func(*expressions, template="(%(expressions)s)", output_field=TextField())


def get_field(model: type[Model], name: str) -> "Field[Any, Any]":
    name = name.removeprefix("-")
    return model._meta.pk if name == "pk" else model._meta.get_field(name)  # type: ignore[return-value]


@dataclass(frozen=True)
class KeysetPage:
    """Rows, and the cursors of the pages before and after; None if there is none."""

    rows: list[Any]
    previous: str | None = None
    next: str | None = None


class Keyset:
    """The pages of a queryset. The columns of the order are not NULL, have one direction and end with the key.

    `load_related` adds joins and prefetches for the rows of one page. `is_restricted`: the user sees only part of the
    table, whose rows may lie far apart in the order.
    """

    def __init__(
        self,
        queryset: QuerySet[Any],
        ordering: Ordering,
        size: int,
        load_related: LoadRelated,
        *,
        is_restricted: bool = False,
    ) -> None:
        self.queryset, self.ordering, self.size = queryset.select_related(None), ordering, size
        self.load_related, self.is_restricted = load_related, is_restricted
        # A cursor is valid only for the same model and order.
        self.salt = ".".join((queryset.model._meta.label, *ordering))

    @cached_property
    def count(self) -> Count:
        return capped_count(self.queryset)

    @property
    def should_sort_matches(self) -> bool:
        """Whether to sort all matching rows, because they are few; for many, scanning the index soon fills a page.

        PostgreSQL misjudges this: it assumes independent words and evenly spread rows, and may scan the whole index
        for a handful of rows.
        """
        if not self.queryset.query.where:
            return False
        return self.is_restricted or not isinstance(self.count, CappedCount)

    def page(self, cursor: str) -> KeysetPage:
        """The page of the cursor; the first page if it is invalid."""
        if cursor == LAST:
            return self.backward([])
        direction, *texts = self.decode_cursor(cursor)
        page = None
        if direction == BEFORE:
            page = self.backward(texts)
        elif direction == AFTER:
            page = self.forward(texts)
        return page if page and page.rows else self.forward([])

    def forward(self, texts: Sequence[str]) -> KeysetPage:
        rows = self.rows(self.ordering, texts)
        has_next, rows = len(rows) > self.size, rows[: self.size]
        return KeysetPage(
            rows,
            previous=self.encode_cursor(BEFORE, rows[0]) if rows and texts else None,
            next=self.encode_cursor(AFTER, rows[-1]) if has_next else None,
        )

    def backward(self, texts: Sequence[str]) -> KeysetPage:
        rows = self.rows(reverse(self.ordering), texts)
        if len(rows) <= self.size:  # at the beginning: show a full first page, not part of one
            return self.forward([])
        rows = rows[: self.size][::-1]
        return KeysetPage(
            rows,
            previous=self.encode_cursor(BEFORE, rows[0]),
            next=self.encode_cursor(AFTER, rows[-1]) if texts else None,
        )

    def rows(self, ordering: Ordering, texts: Sequence[str]) -> list[Any]:
        """One row more than the page size, if there is a next page."""
        keys = self.keys(ordering, texts)
        rows = self.load_related(self.queryset.model._default_manager.filter(pk__in=keys)).order_by(*ordering)
        return list(rows)

    def keys(self, ordering: Ordering, texts: Sequence[str]) -> QuerySet[Any]:
        rows = self.queryset.filter(self.rows_after(ordering, texts)) if texts else self.queryset
        if self.should_sort_matches:  # no index can serve an order by a row value
            columns = row_expression(F(name.removeprefix("-")) for name in ordering)
            rows = rows.order_by(columns.desc() if ordering[0].startswith("-") else columns.asc())
        else:
            rows = rows.order_by(*ordering)
        return rows.values("pk")[: self.size + 1]

    def rows_after(self, ordering: Ordering, texts: Sequence[Any]) -> Func:
        """A condition for the rows after these values: one row comparison, which the index can serve."""
        columns, values = [], []
        for name, text in zip(ordering, texts, strict=True):
            field = get_field(self.queryset.model, name)
            columns.append(F(name.removeprefix("-")))
            values.append(Value(field.to_python(text), output_field=field))
        comparison = " < " if ordering[0].startswith("-") else " > "
        return Func(
            row_expression(columns),
            row_expression(values),
            template="%(expressions)s",
            arg_joiner=comparison,
            output_field=BooleanField(),
        )

    def encode_cursor(self, direction: str, of: Model) -> str:
        texts = [get_field(self.queryset.model, name).value_to_string(of) for name in self.ordering]
        return signing.dumps([direction, *texts], salt=self.salt)

    def decode_cursor(self, cursor: str) -> list[str]:
        """The values of a cursor; its signature makes other checks unnecessary."""
        try:
            return list(signing.loads(cursor, salt=self.salt))
        except signing.BadSignature:
            return [""]


class SuggestionPaginator(Paginator):  # type: ignore[type-arg]
    """For autocomplete: a limited number of pages, without counting the rows."""

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
        if not 1 <= int(number) <= MAX_SUGGESTION_PAGES:
            raise InvalidPage
        first, end = self.per_page * (int(number) - 1), self.per_page * int(number)
        queryset: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        ordering = [str(name) for name in queryset.query.order_by]
        page = Keyset(queryset, ordering, end, lambda rows: rows.select_related()).page("")
        self.count = len(page.rows) + bool(page.next)
        return Page(page.rows[first:], int(number), self)

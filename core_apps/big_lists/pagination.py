"""Keyset pagination: a page begins where its neighbour ended, so that none costs more for being far behind.

An OFFSET reads what it leaves out. Here a page is asked for by the values of its neighbour's last row, so that rows
which come or go meanwhile neither repeat nor hide others.
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
MOST_SUGGESTIONS = 10  # pages of an autocomplete; another letter finds more

Ordering = Sequence[str]
Complete = Callable[[QuerySet[Any]], QuerySet[Any]]


def reverse(ordering: Ordering) -> Ordering:
    return [name.removeprefix("-") if name.startswith("-") else f"-{name}" for name in ordering]


def row(expressions: Iterable[Any]) -> Func:
    return Func(*expressions, template="(%(expressions)s)", output_field=TextField())


def field_of(model: type[Model], name: str) -> "Field[Any, Any]":
    name = name.removeprefix("-")
    return model._meta.pk if name == "pk" else model._meta.get_field(name)  # type: ignore[return-value]


@dataclass(frozen=True)
class KeysetPage:
    """Rows, and the cursors of the neighbours; None where there is no neighbour."""

    rows: list[Any]
    previous: str | None = None
    next: str | None = None


class Keyset:
    """The pages of a queryset in an order whose columns hold no NULL, go in one direction and end with the key.

    `complete` joins what a row shows besides to those of the page alone; `is_scoped` says that the person sees only
    part of the table, whose rows may lie far apart in the order.
    """

    def __init__(
        self, queryset: QuerySet[Any], ordering: Ordering, size: int, complete: Complete, *, is_scoped: bool = False
    ) -> None:
        self.queryset, self.ordering, self.size = queryset.select_related(None), ordering, size
        self.complete, self.is_scoped = complete, is_scoped
        # Another list's cursor, or another order's, is not one of ours.
        self.salt = ".".join((queryset.model._meta.label, *ordering))

    @cached_property
    def count(self) -> Count:
        return capped_count(self.queryset)

    @property
    def is_sorted_as_a_whole(self) -> bool:
        """Whether few enough rows match to sort them all; of more, the index of the order soon meets a page.

        PostgreSQL cannot tell: it takes words for independent of each other and rows for evenly spread, and can walk
        through the whole index for a handful of rows.
        """
        if not self.queryset.query.where:
            return False
        return self.is_scoped or not isinstance(self.count, CappedCount)

    def page(self, cursor: str) -> KeysetPage:
        """The one that the cursor names; the first where it names none."""
        if cursor == LAST:
            return self.backward([])
        direction, *texts = self.read(cursor)
        page = None
        if direction == BEFORE:
            page = self.backward(texts)
        elif direction == AFTER:
            page = self.forward(texts)
        return page if page and page.rows else self.forward([])

    def forward(self, texts: Sequence[str]) -> KeysetPage:
        found = self.rows(self.ordering, texts)
        rows = found[: self.size]
        return KeysetPage(
            rows,
            previous=self.cursor(BEFORE, rows[0]) if rows and texts else None,
            next=self.cursor(AFTER, rows[-1]) if len(found) > self.size else None,
        )

    def backward(self, texts: Sequence[str]) -> KeysetPage:
        found = self.rows(reverse(self.ordering), texts)
        if len(found) <= self.size:  # the beginning is reached: a whole first page reads better than part of one
            return self.forward([])
        rows = found[: self.size][::-1]
        return KeysetPage(
            rows,
            previous=self.cursor(BEFORE, rows[0]),
            next=self.cursor(AFTER, rows[-1]) if texts else None,
        )

    def rows(self, ordering: Ordering, texts: Sequence[str]) -> list[Any]:
        """One more than a page has, which tells whether there is a next one."""
        keys = self.keys(ordering, texts)
        rows = self.complete(self.queryset.model._default_manager.filter(pk__in=keys)).order_by(*ordering)
        return list(rows)

    def keys(self, ordering: Ordering, texts: Sequence[str]) -> QuerySet[Any]:
        rows = self.queryset.filter(self.beyond(ordering, texts)) if texts else self.queryset
        if self.is_sorted_as_a_whole:  # an order by one row value is one that no index has
            columns = row(F(name.removeprefix("-")) for name in ordering)
            rows = rows.order_by(columns.desc() if ordering[0].startswith("-") else columns.asc())
        else:
            rows = rows.order_by(*ordering)
        return rows.values("pk")[: self.size + 1]

    def beyond(self, ordering: Ordering, texts: Sequence[Any]) -> Func:
        """The rows that come after these values: one comparison, which an index of all its columns answers."""
        columns, values = [], []
        for name, text in zip(ordering, texts, strict=True):
            field = field_of(self.queryset.model, name)
            columns.append(F(name.removeprefix("-")))
            values.append(Value(field.to_python(text), output_field=field))
        comparison = " < " if ordering[0].startswith("-") else " > "
        return Func(
            row(columns), row(values), template="%(expressions)s", arg_joiner=comparison, output_field=BooleanField()
        )

    def cursor(self, direction: str, of: Model) -> str:
        texts = [field_of(self.queryset.model, name).value_to_string(of) for name in self.ordering]
        return signing.dumps([direction, *texts], salt=self.salt)

    def read(self, cursor: str) -> list[str]:
        """Only what `cursor` has written: the signature spares every other check."""
        try:
            return list(signing.loads(cursor, salt=self.salt))
        except signing.BadSignature:
            return [""]


class SuggestionPaginator(Paginator):  # type: ignore[type-arg]
    """Of an autocomplete: its pages tell whether there is a next one, and there are not many."""

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
        if not 1 <= int(number) <= MOST_SUGGESTIONS:
            raise InvalidPage
        first, end = self.per_page * (int(number) - 1), self.per_page * int(number)
        queryset: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        ordering = [str(name) for name in queryset.query.order_by]
        found = Keyset(queryset, ordering, end, lambda rows: rows.select_related()).page("")
        self.count = len(found.rows) + bool(found.next)
        return Page(found.rows[first:], int(number), self)

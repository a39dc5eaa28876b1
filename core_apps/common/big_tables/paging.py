"""Pages that begin where the one before ended: none of them costs more for being far behind.

An OFFSET reads what it leaves out. Here a page is asked for by the values of its neighbour's last row, so that rows
which come or go meanwhile neither repeat nor hide others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import BooleanField, F, Field, Func, Model, QuerySet, TextField, Value

from core_apps.common.big_tables.counting import capped_count

LAST = "last"
AFTER, BEFORE = "after", "before"
MOST_SUGGESTED = 1000  # rows of which an autocomplete knows how many there are
MOST_PAGES = 10  # of an autocomplete: whoever scrolls on should type another letter

Ordering = Sequence[str]
Complete = Callable[[QuerySet[Any]], QuerySet[Any]]


def reverse(ordering: Ordering) -> Ordering:
    return [name.removeprefix("-") if name.startswith("-") else f"-{name}" for name in ordering]


def row(expressions: Iterable[Any]) -> Func:
    return Func(*expressions, template="(%(expressions)s)", output_field=TextField())


def as_one_row(queryset: QuerySet[Any], ordering: Ordering) -> QuerySet[Any]:
    """In the same order, which no index has: for few rows, so that the planner does not leaf through an index for them.

    It takes words for independent of each other and would expect to meet the rows soon.
    """
    columns = row(F(name.removeprefix("-")) for name in ordering)
    return queryset.order_by(columns.desc() if ordering[0].startswith("-") else columns.asc())


def beyond(model: type[Model], ordering: Ordering, texts: Sequence[str]) -> Func:
    """The rows that come behind these values: one comparison, which an index of all its columns answers."""
    columns, values = [], []
    for name, text in zip(ordering, texts, strict=True):
        field = field_of(model, name)
        columns.append(F(name.removeprefix("-")))
        values.append(Value(field.to_python(text), output_field=field))
    comparison = " < " if ordering[0].startswith("-") else " > "
    return Func(
        row(columns), row(values), template="%(expressions)s", arg_joiner=comparison, output_field=BooleanField()
    )


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
    """The pages of a queryset in an order whose columns hold no NULL, go in one direction and end with the key."""

    def __init__(
        self, queryset: QuerySet[Any], ordering: Ordering, size: int, complete: Complete, *, is_short: bool
    ) -> None:
        self.queryset, self.ordering, self.size = queryset.select_related(None), ordering, size
        self.complete, self.is_short = complete, is_short
        # Another list's cursor, or another order's, is not one of ours.
        self.salt = ".".join((queryset.model._meta.label, *ordering))

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
        queryset = as_one_row(self.queryset, ordering) if self.is_short else self.queryset.order_by(*ordering)
        if texts:
            queryset = queryset.filter(beyond(self.queryset.model, ordering, texts))
        # What a row needs besides is joined to those of the page, not to all that are sorted for it.
        keys = queryset.values("pk")[: self.size + 1]
        return list(self.complete(queryset.model._default_manager.filter(pk__in=keys)).order_by(*ordering))

    def cursor(self, direction: str, of: Model) -> str:
        model = self.queryset.model
        texts = [field_of(model, name).value_to_string(of) for name in self.ordering]
        return signing.dumps([direction, *texts], salt=self.salt)

    def read(self, cursor: str) -> list[str]:
        """Only what `cursor` has written: the signature spares every other check."""
        try:
            return list(signing.loads(cursor, salt=self.salt))
        except signing.BadSignature:
            return [""]


class SuggestionPaginator(Paginator):  # type: ignore[type-arg]
    """For an autocomplete: pages that tell whether there is a next one, and of which there are not many."""

    def page(self, number: int | str) -> Page:  # type: ignore[type-arg]
        if not 1 <= int(number) <= MOST_PAGES:
            raise InvalidPage
        first = (int(number) - 1) * self.per_page
        found = list(self.in_order().select_related()[first : first + self.per_page + 1])  # for their names
        self.count = first + len(found)
        return Page(found[: self.per_page], int(number), self)

    def in_order(self) -> QuerySet[Any]:
        queryset: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        ordering = [str(name) for name in queryset.query.order_by]
        count = capped_count(queryset, MOST_SUGGESTED)
        if count.keys is not None:
            rows: QuerySet[Any] = queryset.model._default_manager.filter(pk__in=count.keys)
            return rows.order_by(*ordering)
        return as_one_row(queryset, ordering) if count.is_exact else queryset

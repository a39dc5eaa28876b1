"""Pages that begin where the one before ended: none of them costs more for being far behind.

An OFFSET reads what it leaves out. Here a page is asked for by the values of its neighbour's last row, so that rows
which come or go meanwhile neither repeat nor hide others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.db.models import BooleanField, Count, F, Field, Func, Model, QuerySet, TextField, Value, Window

LAST = "last"
AFTER, BEFORE = "after", "before"
MARGIN = 1.25  # for rows that are not evenly spread

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


def beyond(model: type[Model], ordering: Ordering, texts: Sequence[Any]) -> Func:
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


def names_of(ordering: Ordering) -> list[str]:
    return [name.removeprefix("-") for name in ordering]


def parts_of(queryset: QuerySet[Any]) -> list[QuerySet[Any]]:
    """Those that its QuerySet divides it into, each with an index of the order where the whole has none."""
    parts = getattr(queryset, "parts", None)
    return parts() if parts else [queryset]


@dataclass(frozen=True)
class KeysetPage:
    """Rows, and the cursors of the neighbours; None where there is no neighbour."""

    rows: list[Any]
    previous: str | None = None
    next: str | None = None


class OutOfReachError(Exception):
    """The rows of the page lie farther apart than was to be looked; how far, if they go on like the first of them."""

    def __init__(self, reach: int) -> None:
        super().__init__(reach)
        self.reach = reach


class Keyset:
    """The pages of a queryset in an order whose columns hold no NULL, go in one direction and end with the key.

    Of a short one all rows are found and sorted; through a long one an index of the order is leafed, no farther than
    through `reach` rows of the table.
    """

    def __init__(
        self,
        queryset: QuerySet[Any],
        ordering: Ordering,
        size: int,
        complete: Complete,
        *,
        is_short: bool,
        reach: int | None = None,
    ) -> None:
        self.queryset, self.ordering, self.size = queryset.select_related(None), ordering, size
        self.complete, self.is_short, self.reach = complete, is_short, reach
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
        keys = self.sorted(ordering, texts) if self.is_short else self.leafed(ordering, texts)
        # What a row needs besides is joined to those of the page, not to all that are sorted for it.
        rows = self.complete(self.table.filter(pk__in=keys)).order_by(*ordering)
        return list(rows[: self.size + 1])

    @property
    def table(self) -> QuerySet[Any]:
        return self.queryset.model._default_manager.all()  # type: ignore[no-any-return]

    def sorted(self, ordering: Ordering, texts: Sequence[str]) -> Any:
        return self.behind(as_one_row(self.queryset, ordering), ordering, texts).values("pk")[: self.size + 1]

    def leafed(self, ordering: Ordering, texts: Sequence[str]) -> Any:
        first, *others = [self.behind(part, ordering, texts) for part in parts_of(self.queryset)]
        if not others and not self.reach:
            return self.nearest(first, ordering)
        end = self.end_of_reach(ordering, texts)
        found = list(self.nearest(first, ordering, end).values_list(*names_of(ordering)))
        keys = [values[-1] for values in found]
        if others:
            # What lies behind a whole page is on none that follows.
            end_of_page = found[-1] if len(found) > self.size else end
            rest = [self.nearest(part, ordering, end_of_page) for part in others]
            keys += [key for (key,) in rest[0].union(*rest[1:], all=True).values_list("pk")]
        if self.reach and end and len(keys) <= self.size:
            raise OutOfReachError(round(MARGIN * self.reach * (self.size + 1) / max(1, len(keys))))
        return keys

    def nearest(self, rows: QuerySet[Any], ordering: Ordering, end: Sequence[Any] | None = None) -> QuerySet[Any]:
        """Of one page and one more, before the row with these values."""
        near = rows.filter(beyond(self.queryset.model, reverse(ordering), end)) if end else rows
        return near.order_by(*ordering).values("pk")[: self.size + 1]

    def end_of_reach(self, ordering: Ordering, texts: Sequence[str]) -> Sequence[Any] | None:
        """The values of the table's row that is too far away; None where there is none."""
        if not self.reach:
            return None
        rows = self.behind(self.table.order_by(*ordering), ordering, texts)
        return rows.values_list(*names_of(ordering))[self.reach : self.reach + 1].first()

    def behind(self, rows: QuerySet[Any], ordering: Ordering, texts: Sequence[str]) -> QuerySet[Any]:
        return rows.filter(beyond(self.queryset.model, ordering, texts)) if texts else rows

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


class CountedKeyset(Keyset):
    """A short one that knows the number of all its rows, once a page of it was found."""

    count = 0

    def sorted(self, ordering: Ordering, texts: Sequence[str]) -> list[Any]:
        """The rows behind these values come first, so that one search finds the page and counts all."""
        is_behind = beyond(self.queryset.model, ordering, texts) if texts else Value(True)
        rows = as_one_row(self.queryset, ordering)
        first = rows.order_by(is_behind.desc(), *rows.query.order_by) if texts else rows
        found = list(first.values_list("pk", is_behind, Window(Count("*")))[: self.size + 1])
        self.count = found[0][2] if found else 0
        return [key for key, is_behind, _ in found if is_behind]

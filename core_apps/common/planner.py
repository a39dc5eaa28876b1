"""What PostgreSQL's planner expects of a query, and ways to help it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection, transaction
from django.db.models import BooleanField, F, Func, QuerySet, Value


class Plan(NamedTuple):
    """The number of all rows, and what they cost in the planner's units."""

    rows: int
    cost: float


def plan_of(queryset: QuerySet[Any]) -> Plan:
    explained = queryset.order_by().select_related(None).values("pk").explain(format="json")
    if not explained:  # nothing can match, and PostgreSQL is not asked
        return Plan(0, 0)
    plan = json.loads(explained)[0]["Plan"]
    return Plan(int(plan["Plan Rows"]), plan["Total Cost"])


def planned_rows(queryset: QuerySet[Any]) -> int:
    return plan_of(queryset).rows


@contextmanager
def no_sequential_scan() -> Iterator[None]:
    """For a LIMIT the planner hopes to meet rows soon, wherever it begins to read the table; there may be none."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        yield
        cursor.execute("SET LOCAL enable_seqscan = on")


def among(column: str, keys: Iterable[int] | ArraySubquery) -> Func:
    """The column is one of the keys, however many: one array, of which an index is asked key by key.

    A list of parameters would be parsed one by one; for a subquery the planner might read the whole table.
    """
    values = keys if isinstance(keys, ArraySubquery) else Value("{" + ",".join(map(str, keys)) + "}")
    template = "%(expressions)s::bigint[])"
    return Func(F(column), values, template=template, arg_joiner=" = ANY(", output_field=BooleanField())

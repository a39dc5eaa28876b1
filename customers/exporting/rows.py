"""What an export says of a customer: texts that the database has put together."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, TypeAlias

from django.contrib.postgres.aggregates import StringAgg
from django.db import connection, transaction
from django.db.models import Case, CharField, F, Func, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Left, NullIf

from customers.models import Customer, Tag

Row: TypeAlias = tuple[str, ...]

ROWS_AT_ONCE = 1000
SETTINGS = """
-- Between two batches the transaction waits for whoever reads, which may be a telephone in a train.
SET LOCAL idle_in_transaction_session_timeout = '10min';
-- To compile a query for many rows would keep the first of them waiting.
SET LOCAL jit = off;
-- The part of the rows that the planner takes to be wanted. With all, it sorts a million before the first one; with its
-- usual tenth, it looks along the index of the order, in seconds, for the few that a search finds.
SET LOCAL cursor_tuple_fraction = 0.5;
"""
LONGEST_CELL = 32_767  # characters, https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
TAG_SEPARATOR = "\x1f"  # "unit separator": no tag that a person types contains it

TAGS = (
    Tag.objects.filter(customers=OuterRef("pk"))
    .order_by()
    .values("customers")
    .annotate(names=Left(StringAgg("name", TAG_SEPARATOR, order_by="name"), LONGEST_CELL))
    .values("names")
)
UTC_TIME = Func(F("created_at"), function="timezone", template="%(function)s('UTC', %(expressions)s)")
# Headings are in English for everybody: `import_customers` reads them, and so may other programs.
COLUMNS: dict[str, Any] = {
    "public id": Cast("public_id", TextField()),
    "given name": "given_name",
    "family name": "family_name",
    "e-mail": "email",
    "phone": Case(When(phone_e164="", then=F("phone")), default=F("phone_e164")),
    "job title": "job_title",
    "company": Coalesce("company__name", Value("")),
    "domain": Coalesce("company__domain", Value("")),
    "country": "country",
    "stage": "stage",
    "source": "source",
    "owner": Coalesce(NullIf("owner__name", Value("")), "owner__email", Value(""), output_field=CharField()),
    "tags": Coalesce(Subquery(TAGS), Value(""), output_field=TextField()),
    "created (UTC)": Left(Cast(UTC_TIME, TextField()), len("2026-11-22 09:30:15")),
}
HEADINGS = tuple(COLUMNS)


def batches_of(customers: QuerySet[Customer]) -> Iterator[list[Row]]:
    """Every row of the queryset, as of one moment; PostgreSQL limits the time of each batch, not of all."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SETTINGS)
        # Its cursor is closed before the transaction ends, also where nobody wants the rest.
        with closing(customers.values_list(*COLUMNS.values()).iterator(ROWS_AT_ONCE)) as rows:  # type: ignore[type-var]
            while batch := list(islice(rows, ROWS_AT_ONCE)):
                yield batch

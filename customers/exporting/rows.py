"""The rows of an export: texts composed by the database."""

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

BATCH_SIZE = 1000
SETTINGS = """
-- Between two batches the transaction waits for the client, which may be slow.
SET LOCAL idle_in_transaction_session_timeout = '10min';
-- Compiling the query would delay the first row.
SET LOCAL jit = off;
-- The fraction of the rows that the planner optimises for. With 1, it sorts a million rows before the first one; with
-- the default of 0.1, it scans the whole index of the order, in seconds, for the few rows that match a search.
SET LOCAL cursor_tuple_fraction = 0.5;
"""
MAX_CELL = 32_767  # characters, https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
TAG_SEPARATOR = "\x1f"  # "unit separator": cannot be typed into a tag

TAGS = (
    Tag.objects.filter(customers=OuterRef("pk"))
    .order_by()
    .values("customers")
    .annotate(names=Left(StringAgg("name", TAG_SEPARATOR, order_by="name"), MAX_CELL))
    .values("names")
)
UTC_TIME = Func(F("created_at"), function="timezone", template="%(function)s('UTC', %(expressions)s)")
# Headings are not translated: `import_customers` and other programs read them.
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


def fetch_batches(customers: QuerySet[Customer]) -> Iterator[list[Row]]:
    """Yield the rows of the queryset from one snapshot; statement_timeout applies to each batch."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SETTINGS)
        # The cursor must be closed before the transaction ends, even if the client disconnects.
        with closing(customers.values_list(*COLUMNS.values()).iterator(BATCH_SIZE)) as rows:  # type: ignore[type-var]
            while batch := list(islice(rows, BATCH_SIZE)):
                yield batch

"""The rows of an export."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from customers.exporting.tables import TABLES, Row

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


def fetch_batches(queryset: QuerySet[Any]) -> Iterator[list[Row]]:
    """Yield the rows of the queryset from one snapshot; statement_timeout applies to each batch."""
    table = TABLES[queryset.model]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(SETTINGS)
        # The cursor must be closed before the transaction ends, even if the client disconnects.
        with closing(queryset.values_list(*table.columns.values()).iterator(BATCH_SIZE)) as rows:  # type: ignore[type-var]
            while batch := [table.convert(row) for row in islice(rows, BATCH_SIZE)]:
                yield batch

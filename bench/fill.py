"""Fills a database with generated customers through COPY, and builds the indexes last."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone
from psycopg2 import Error

from bench.follow_ups import add_follow_ups, add_tags
from bench.generator import YEARS, Generator, Values
from core_apps.operations.database import without_limit
from customers.demo import read_rows
from customers.models import Company, Customer, Exhibition, FollowUp, Visit

TABLES = (Company, Customer, Customer.tags.through, Visit, FollowUp)
BATCH_SIZE = 2000
CONSTRAINTS = """
    SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', conrelid::regclass, conname),
           format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE contype IN ('f', 'u') AND conrelid = ANY (%s::regclass[])
"""
INDEXES = """
    SELECT format('DROP INDEX %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index WHERE NOT indisunique AND indrelid = ANY (%s::regclass[])
"""
# The generated rows contain what the triggers would write.
TRIGGERS = """
    SELECT format('ALTER TABLE %%s DISABLE TRIGGER %%I', tgrelid::regclass, tgname),
           format('ALTER TABLE %%s ENABLE TRIGGER %%I', tgrelid::regclass, tgname)
    FROM pg_trigger WHERE NOT tgisinternal AND tgname <> 'data_version' AND tgrelid = ANY (%s::regclass[])
"""


def fill(customers: int) -> int:
    """Add customers with companies, visits, follow-ups and tags, all or none; return the number of rows."""
    exhibitions, team, now = create_past_exhibitions(), find_team(), timezone.now()
    with without_limit(), transaction.atomic(), without_indexes():
        first = next_key(Company), next_key(Customer)
        generator = Generator(customers, first, now, team, fold_words)
        rows = copy(Company, generator.COMPANY, generator.company_rows())
        rows += copy(Customer, generator.CUSTOMER, generator.customer_rows())
        rows += copy(Visit, generator.VISIT, generator.visit_rows(exhibitions))
        for model in (Company, Customer):
            advance_sequence(model)
        rows += add_follow_ups(first[1], team, now) + add_tags(first[1])
    with without_limit(), connection.cursor() as cursor:
        # Only these tables: ANALYZE of shared catalogues would keep them locked until an outer transaction ends.
        cursor.execute("ANALYZE " + ", ".join(model._meta.db_table for model in (Exhibition, *TABLES)))
    return rows


def find_team() -> list[int]:
    """Return the users to whom customers can be assigned."""
    return list(get_user_model()._default_manager.filter(is_active=True, is_staff=True).values_list("pk", flat=True))


def fold_words(words: list[str]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT word, folded(word) FROM unnest(%s) AS word", [words])
        return dict(cursor.fetchall())


def create_past_exhibitions() -> list[Exhibition]:
    """Create the demo's exhibitions in each of the last years, and return those that are over."""
    known = {(one.name.upper(), one.edition.upper()) for one in Exhibition.objects.all()}
    editions = [build_edition(row, years) for row in read_rows("exhibitions") for years in range(YEARS + 2)]
    Exhibition.objects.bulk_create(one for one in editions if (one.name.upper(), one.edition.upper()) not in known)
    today = timezone.localdate()
    return list(Exhibition.objects.filter(ends_on__lt=today, starts_on__gt=today - timedelta(days=365 * YEARS)))


def build_edition(row: dict[str, str], years: int) -> Exhibition:
    """Build the edition of so many years before, on the same day of the week."""
    earlier = timedelta(days=364 * years)
    starts_on, ends_on = (date.fromisoformat(row[name]) - earlier for name in ("starts_on", "ends_on"))
    named = str(int(row["edition"]) - years) if row["edition"].isdecimal() else f"{row['edition']} -{years}"
    return Exhibition(**row | {"edition": named, "starts_on": starts_on, "ends_on": ends_on})


@contextmanager
def without_indexes() -> Iterator[None]:
    """Drop constraints, indexes and triggers, and create them again after the block, for all rows at once."""
    with connection.cursor() as cursor:
        # Until the transaction ends, so that indexes are sorted in memory.
        cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
        # Pending checks would prevent ALTER TABLE.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        statements = [pair for query in (CONSTRAINTS, INDEXES, TRIGGERS) for pair in build_statements(cursor, query)]
        for drop, _ in statements:
            cursor.execute(drop)
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for _, create in reversed(statements):
            cursor.execute(create)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def build_statements(cursor: Any, query: str) -> list[tuple[str, str]]:
    """Return pairs of statements that drop and create each constraint, index or trigger."""
    cursor.execute(query, [[model._meta.db_table for model in TABLES]])
    pairs: list[tuple[str, str]] = cursor.fetchall()
    return pairs


def next_key(model: Any) -> int:
    last = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    return (last or 0) + 1


def copy(model: Any, columns: Sequence[str], rows: Iterable[Values]) -> int:
    source = Source(rows)
    try:
        with connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {model._meta.db_table} ({', '.join(columns)}) FROM STDIN", source)
    except Error as error:
        # psycopg2 wraps exceptions of read(), even KeyboardInterrupt.
        raise source.error or error from error
    return source.count


class Source:
    """A file-like object with rows in COPY's text format."""

    def __init__(self, rows: Iterable[Values]) -> None:
        self.count = 0
        self.error: BaseException | None = None
        self.lines = ("\t".join(map(str, row)) for row in rows)

    def read(self, _size: int = -1) -> str:
        try:
            lines = list(islice(self.lines, BATCH_SIZE))
            self.count += len(lines)
        except BaseException as error:
            self.error = error
            raise
        return "".join(f"{line}\n" for line in lines)


def advance_sequence(model: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [model._meta.db_table, next_key(model) - 1]
        )

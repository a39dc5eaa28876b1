"""Fills a database with any number of invented customers through COPY, indexes last."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone
from psycopg2 import Error

from bench.following import follow_up, tag
from bench.inventing import YEARS, Invention, Values
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
# What they would write is invented with the row.
TRIGGERS = """
    SELECT format('ALTER TABLE %%s DISABLE TRIGGER %%I', tgrelid::regclass, tgname),
           format('ALTER TABLE %%s ENABLE TRIGGER %%I', tgrelid::regclass, tgname)
    FROM pg_trigger WHERE NOT tgisinternal AND tgname <> 'data_version' AND tgrelid = ANY (%s::regclass[])
"""


def fill(customers: int) -> int:
    """Add so many customers, their companies, visits, follow-ups and tags, all or none; returns the rows."""
    exhibitions, team, now = past_exhibitions(), colleagues(), timezone.now()
    with without_limit(), transaction.atomic(), bare_tables():
        first = next_key(Company), next_key(Customer)
        invention = Invention(customers, first, now, team, folded)
        rows = copy(Company, invention.COMPANY, invention.company_rows())
        rows += copy(Customer, invention.CUSTOMER, invention.customer_rows())
        rows += copy(Visit, invention.VISIT, invention.visit_rows(exhibitions))
        for model in (Company, Customer):
            advance_sequence(model)
        rows += follow_up(first[1], team, now) + tag(first[1])
    with without_limit(), connection.cursor() as cursor:
        # Not all: catalogues that databases share would stay locked until a transaction around this one ends.
        cursor.execute("ANALYZE " + ", ".join(model._meta.db_table for model in (Exhibition, *TABLES)))
    return rows


def colleagues() -> list[int]:
    """Who can look after customers."""
    return list(get_user_model()._default_manager.filter(is_active=True, is_staff=True).values_list("pk", flat=True))


def folded(words: list[str]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT word, folded(word) FROM unnest(%s) AS word", [words])
        return dict(cursor.fetchall())


def past_exhibitions() -> list[Exhibition]:
    """Those of the demo, in each of the last years."""
    known = {(one.name.upper(), one.edition.upper()) for one in Exhibition.objects.all()}
    editions = [edition(row, years) for row in read_rows("exhibitions") for years in range(YEARS + 2)]
    Exhibition.objects.bulk_create(one for one in editions if (one.name.upper(), one.edition.upper()) not in known)
    today = timezone.localdate()
    return list(Exhibition.objects.filter(ends_on__lt=today, starts_on__gt=today - timedelta(days=365 * YEARS)))


def edition(row: dict[str, str], years: int) -> Exhibition:
    """The one so many years before, on the same day of the week."""
    earlier = timedelta(days=364 * years)
    starts_on, ends_on = (date.fromisoformat(row[name]) - earlier for name in ("starts_on", "ends_on"))
    named = str(int(row["edition"]) - years) if row["edition"].isdecimal() else f"{row['edition']} -{years}"
    return Exhibition(**row | {"edition": named, "starts_on": starts_on, "ends_on": ends_on})


@contextmanager
def bare_tables() -> Iterator[None]:
    """Constraints of more than one row are checked, and indexes are built, at the end: all rows at once."""
    with connection.cursor() as cursor:
        # Until it ends: an index is sorted in memory, not on the disk.
        cursor.execute("SET LOCAL maintenance_work_mem = '256MB'")
        # What this transaction has to check already, for it would stand in the way.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        laid_aside = [statement for kind in (CONSTRAINTS, INDEXES, TRIGGERS) for statement in of_tables(cursor, kind)]
        for removal, _ in laid_aside:
            cursor.execute(removal)
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for _, return_ in reversed(laid_aside):
            cursor.execute(return_)
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def of_tables(cursor: Any, question: str) -> list[tuple[str, str]]:
    """Statements that remove each, and that bring it back."""
    cursor.execute(question, [[model._meta.db_table for model in TABLES]])
    found: list[tuple[str, str]] = cursor.fetchall()
    return found


def next_key(model: Any) -> int:
    last = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    return (last or 0) + 1


def copy(model: Any, columns: Sequence[str], rows: Iterable[Values]) -> int:
    source = Source(rows)
    try:
        with connection.cursor() as cursor:
            cursor.copy_expert(f"COPY {model._meta.db_table} ({', '.join(columns)}) FROM STDIN", source)
    except Error as error:
        # psycopg2 tells of what was raised while it read, Ctrl-C included, in words of its own.
        raise source.error or error from error
    return source.count


class Source:
    """A file of COPY's text format, for psycopg2 to read."""

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

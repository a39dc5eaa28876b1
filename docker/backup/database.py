"""The database as a backup sees it: what every table holds, in figures that do not depend on where it is restored."""

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn

from backup.errors import FailedError, describe
from backup.programs import run

# A server that goes without a word is noticed after 11 s; the kernel's own limit is two hours.
PATIENCE = {"connect_timeout": 10, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
# What the text of a row depends on, whatever the server, the database or the role would have. Nothing ends a long read.
PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    # A migration may have one of the tables.
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
}
# Those that a dump has data of: neither the system's, nor temporary ones, nor an extension's.
DUMPED = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = %s AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2
"""
# A sum, so that the order of rows does not matter and one that is there twice does. The alias is no column's name.
ROWS_AND_HASH = """
    SELECT count(*), coalesce(sum(('x' || left(md5("the row"::text), 16))::bit(64)::bigint::numeric), 0)::text
    FROM ONLY {} AS "the row"
"""
LAST_VALUES = """
    SELECT schemaname || '.' || sequencename, coalesce(last_value, 0) FROM pg_sequences
    WHERE increment_by > 0 AND (schemaname, sequencename) IN ({})
"""


@dataclass(frozen=True)
class Table:
    rows: int
    hash: str


@dataclass(frozen=True)
class Contents:
    # By "schema.name".
    tables: dict[str, Table] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def connect(dsn: str | None = None) -> Any:
    """A connection of psycopg2, by PGHOST and the like where no connection string is given."""
    options = " ".join(f"-c {name}={value}" for name, value in PINNED.items())
    try:
        return psycopg2.connect(patient(dsn), options=options)
    except psycopg2.Error as error:
        raise FailedError(describe(error)) from error


def patient(dsn: str | None) -> str:
    """The connection string, also for programs of PostgreSQL's, with limits to how long they wait for a server."""
    return str(make_dsn(dsn, **PATIENCE))


def contents(connection: Any) -> Contents:
    """Of all tables, in the transaction of the connection."""
    with connection.cursor() as cursor:
        cursor.execute(DUMPED, ["r"])
        tables = {f"{schema}.{name}": measure(cursor, schema, name) for schema, name in cursor.fetchall()}
        cursor.execute(LAST_VALUES.format(DUMPED), ["S"])
        return Contents(tables, dict(cursor.fetchall()))


def measure(cursor: Any, schema: str, name: str) -> Table:
    cursor.execute(sql.SQL(ROWS_AND_HASH).format(sql.Identifier(schema, name)))
    return Table(*cursor.fetchone())


def differences(expected: Contents, found: Contents) -> list[str]:
    """What a person should know; nothing where they are equal.

    A sequence may be ahead: it knows no snapshots, and pg_dump reads it a moment after it was measured.
    """
    found_differences = []
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        wanted, got = expected.tables.get(name), found.tables.get(name)
        if not wanted or not got:
            found_differences.append(f"table {name} is {'missing' if wanted else 'not in the backup'}")
        elif wanted.rows != got.rows:
            found_differences.append(f"table {name} has {got.rows} rows instead of {wanted.rows}")
        elif wanted != got:
            found_differences.append(f"table {name} has other contents in its {wanted.rows} rows")
    for name, value in sorted(expected.sequences.items()):
        if found.sequences.get(name, -1) < value:
            found_differences.append(
                f"sequence {name} is at {found.sequences.get(name, 'no value')} instead of {value}"
            )
    return found_differences


def export_snapshot(connection: Any) -> str:
    """Let pg_dump see what this connection sees, as long as its transaction lasts."""
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_export_snapshot()")
        return str(cursor.fetchone()[0])


def server_version(connection: Any) -> str:
    return str(connection.get_parameter_status("server_version")).split()[0]


def size(connection: Any) -> int:
    """Bytes on the disk."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def check_major(connection: Any) -> None:
    """An older pg_dump does not know what a newer server has; a newer one writes what an older server cannot read."""
    server, client = major(server_version(connection)), major(client_version())
    if server != client:
        raise FailedError(
            f"the server is PostgreSQL {server} and this image is made for {client}: "
            f"put POSTGRES_MAJOR={server} and rebuild it (make prod-up)"
        )


def client_version() -> str:
    return str(re.findall(r"\d+[.\w]*", run("pg_dump", "--version"))[0])


def major(version: str) -> int:
    return int(re.findall(r"^\d+", version)[0])


def migrations(connection: Any) -> dict[str, str]:
    """The last one of each application, by which it is known what can serve this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.django_migrations')")
        if cursor.fetchone() == (None,):
            return {}
        cursor.execute("SELECT app, max(name) FROM public.django_migrations GROUP BY app ORDER BY app")
        return dict(cursor.fetchall())


def session(dsn: str) -> Any:
    """A connection whose statements each take effect at once."""
    connection = connect(dsn)
    connection.autocommit = True
    return connection


def drop(dsn: str, name: str) -> None:
    with closing(session(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

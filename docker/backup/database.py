"""The contents of a database: row counts and hashes that are the same wherever it is restored."""

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import make_dsn

from backup.errors import BackupError, describe
from backup.programs import run

# A server that vanishes is noticed after 11 s instead of the kernel's two hours.
TIMEOUTS = {"connect_timeout": 10, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
# Settings that the text form of a row depends on, and no time limit for long reads.
SESSION_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    # A migration may hold a lock.
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
}
# Relations whose data a dump contains: no system, temporary or extension relations.
DUMPED_RELATIONS = """
    SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = %s AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1, 2
"""
# A sum: independent of the order of rows, but not of duplicates. No column has the alias's name.
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
    """Open a psycopg2 connection, by default with PGHOST and the other environment variables."""
    options = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    try:
        return psycopg2.connect(add_timeouts(dsn), options=options)
    except psycopg2.Error as error:
        raise BackupError(describe(error)) from error


def add_timeouts(dsn: str | None) -> str:
    """The connection string with timeouts, for psycopg2 and for PostgreSQL's programs."""
    return str(make_dsn(dsn, **TIMEOUTS))


def read_contents(connection: Any) -> Contents:
    """Read all tables and sequences in the connection's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(DUMPED_RELATIONS, ["r"])
        tables = {f"{schema}.{name}": measure(cursor, schema, name) for schema, name in cursor.fetchall()}
        cursor.execute(LAST_VALUES.format(DUMPED_RELATIONS), ["S"])
        return Contents(tables, dict(cursor.fetchall()))


def measure(cursor: Any, schema: str, name: str) -> Table:
    cursor.execute(sql.SQL(ROWS_AND_HASH).format(sql.Identifier(schema, name)))
    return Table(*cursor.fetchone())


def find_differences(expected: Contents, found: Contents) -> list[str]:
    """Messages about each difference; empty if there is none.

    A sequence may be ahead: it ignores snapshots, and pg_dump reads it a moment later.
    """
    messages = []
    for name in sorted(expected.tables.keys() | found.tables.keys()):
        wanted, got = expected.tables.get(name), found.tables.get(name)
        if not wanted or not got:
            messages.append(f"table {name} is {'missing' if wanted else 'not in the backup'}")
        elif wanted.rows != got.rows:
            messages.append(f"table {name} has {got.rows} rows instead of {wanted.rows}")
        elif wanted != got:
            messages.append(f"table {name} has other contents in its {wanted.rows} rows")
    for name, value in sorted(expected.sequences.items()):
        if found.sequences.get(name, -1) < value:
            messages.append(f"sequence {name} is at {found.sequences.get(name, 'no value')} instead of {value}")
    return messages


def export_snapshot(connection: Any) -> str:
    """Return a snapshot id with which pg_dump sees what this transaction sees."""
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
    """Raise BackupError unless pg_dump and the server have the same major version: others may not fit."""
    server, client = major(server_version(connection)), major(client_version())
    if server != client:
        raise BackupError(
            f"the server is PostgreSQL {server} and this image is made for {client}: "
            f"set POSTGRES_MAJOR={server} and start the tier again"
        )


def client_version() -> str:
    return str(re.findall(r"\d+[.\w]*", run("pg_dump", "--version"))[0])


def major(version: str) -> int:
    return int(re.findall(r"^\d+", version)[0])


def migrations(connection: Any) -> dict[str, str]:
    """The last migration of each app, which tells the version that can serve this database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.django_migrations')")
        if cursor.fetchone() == (None,):
            return {}
        cursor.execute("SELECT app, max(name) FROM public.django_migrations GROUP BY app ORDER BY app")
        return dict(cursor.fetchall())


def connect_autocommit(dsn: str) -> Any:
    """Open a connection in autocommit mode."""
    connection = connect(dsn)
    connection.autocommit = True
    return connection


def drop(dsn: str, name: str) -> None:
    with closing(connect_autocommit(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

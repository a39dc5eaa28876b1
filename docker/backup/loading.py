"""Loads the database of a backup beside whatever else a server has, and compares it with the manifest."""

import subprocess
from contextlib import closing
from pathlib import Path
from typing import IO, Any

from psycopg2 import sql
from psycopg2.extensions import make_dsn

from backup import database, parts, roles
from backup.manifest import Manifest
from backup.scratch import last_line
from backup.settings import FailedError

SHOWN = 3


def load(directory: Path, manifest: Manifest, identity: Path | None, dsn: str, name: str) -> database.Contents:
    """Into a new database of this name on the server; returns what is in it, which is what the manifest says.

    Raises FailedError where it is not; the database stays then, for whoever called to drop.
    """
    with closing(session(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    with closing(database.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        roles.create(cursor, globals_of(directory, identity))
    loaded = make_dsn(dsn, dbname=name)
    with parts.reading(directory, parts.DATABASE, identity) as dump:
        restore(dump, loaded)
    return compared(manifest, loaded)


def globals_of(directory: Path, identity: Path | None) -> str:
    with parts.reading(directory, parts.GLOBALS, identity) as stream:
        return stream.read().decode()


def restore(dump: IO[bytes], dsn: str) -> None:
    """By pg_restore, which stops at the first error."""
    command = ["pg_restore", "--exit-on-error", "--no-tablespaces", f"--dbname={dsn}"]
    done = subprocess.run(command, stdin=dump, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise FailedError(f"the database cannot be loaded: {last_line(done.stderr)}")


def compared(manifest: Manifest, dsn: str) -> database.Contents:
    with closing(session(dsn)) as connection, connection.cursor() as cursor:
        found = database.contents(connection)
        if said := database.differences(manifest.contents, found):
            more = f", and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
            raise FailedError(f"what was loaded is not what was backed up: {'; '.join(said[:SHOWN])}{more}")
        # No dump has the statistics by which queries are planned.
        cursor.execute("ANALYZE")
    return found


def session(dsn: str) -> Any:
    """A connection whose statements each take effect at once."""
    connection = database.connect(dsn)
    connection.autocommit = True
    return connection


def drop(dsn: str, name: str) -> None:
    with closing(session(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

"""The steps of `make prod-restore`, which deploy/restore.py runs in a separate container.

The running database is never written to. The backup is loaded into a new database, and the names are swapped in one
transaction: before it the old state is complete, after it the restored one.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg2
from psycopg2 import sql

from backup import catalogue, database, dump, manifest, media, parts
from backup.errors import EXPECTED, BackupError, describe
from backup.lock import lock
from backup.manifest import MEDIA, Manifest
from backup.settings import Settings

# A database that is not renamed.
SERVER = "dbname=postgres"
# Identifies the sessions of a killed step, which may still be running on the server.
APPLICATION = "backup: restore"
# The media files that a restore has added, so that they can be removed if it fails.
NOTE = "restoring.json"
TERMINATION_INTERVAL = 0.05  # seconds
# Loading also writes WAL, of which PostgreSQL keeps this much (max_wal_size).
MAX_WAL_SIZE = 2**30  # bytes


def command(settings: Settings, step: str, *arguments: str) -> None:
    """Run the step, and print its result as JSON."""
    os.environ["PGAPPNAME"] = APPLICATION
    with lock(settings, f"a restore (step {step})"):
        end_other_sessions()
        result = STEPS[step](settings, *arguments)
    print(json.dumps(result))


def end_other_sessions() -> None:
    """End statements of a killed step, which the server may still be executing."""
    with closing(database.connect_autocommit(SERVER)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            [APPLICATION],
        )


def examine(settings: Settings, name: str) -> dict[str, Any]:
    """Verify the backup, remove the leftovers of an earlier restore, and return what this one would change."""
    with read_identity() as key:
        wanted = parts.verify(settings.backups / name, key)
        parts.require_key(wanted, key)
    remove_leftovers(settings)
    then, now = {table: facts.rows for table, facts in wanted.contents.tables.items()}, count_rows()
    return {
        "kind": wanted.kind,
        "finished": (wanted.moment or wanted.finished).isoformat(),
        "rows": {table: [then.get(table, 0), now.get(table, 0)] for table in then | now},
        "media": len(wanted.media),
        "size": wanted.size,
        "needed": compute_needed_space(settings, wanted),
    }


def compute_needed_space(settings: Settings, wanted: Manifest) -> int:
    """Return the bytes needed: the database, media, a decrypted copy, and a safety backup of the current state."""
    serving = sum(path.stat().st_size for path in settings.media.rglob("*") if path.is_file())
    return wanted.database_size + min(wanted.database_size, MAX_WAL_SIZE) + 3 * wanted.size + serving


def remove_leftovers(settings: Settings) -> None:
    """Remove what a killed restore has left: what it had added before its swap, or replaced after it."""
    loaded, replaced = get_database_names()
    if loaded in list_databases():
        database.drop(SERVER, loaded)
        media.remove(settings.media, catalogue.read_note(settings, NOTE).get("media", []))
        media.remove_partial(settings.media)
    database.drop(SERVER, replaced)
    catalogue.write_note(settings, NOTE, {})


def count_rows() -> dict[str, int]:
    """Return the rows per table; nothing if the database cannot be read, which may be the reason for the restore."""
    try:
        with closing(database.connect()) as connection:
            return {name: table.rows for name, table in database.read_contents(connection).tables.items()}
    except (BackupError, psycopg2.Error):
        return {}


def load(settings: Settings, name: str) -> dict[str, Any]:
    """Load the backup into a new database."""
    loaded, _ = get_database_names()
    with read_identity() as key:
        found = parts.load(settings.backups / name, key, SERVER, loaded)
    return {"tables": len(found.tables), "rows": found.rows, "database": loaded}


def move(settings: Settings, name: str, loaded_as: str = "") -> None:
    """Load the backup into another server: of the next major version, or of a laptop."""
    with read_identity() as key:
        wanted = parts.verify(settings.backups / name, key)
        found = parts.load(settings.backups / name, key, SERVER, loaded_as or wanted.database)
    print(json.dumps({"tables": len(found.tables), "rows": found.rows}))


def add_media(settings: Settings, name: str) -> dict[str, Any]:
    wanted = manifest.read(settings.backups / name).media
    lacking = media.find_missing(settings.media, wanted)
    # Damaged files are repaired, but not removed if the restore fails.
    added = [one for one in lacking if not media.resolve_path(settings.media, one).exists()]
    catalogue.write_note(settings, NOTE, {"media": added})
    if lacking:
        with read_identity() as key, parts.open_parts(settings.backups / name, key) as plain:
            media.unpack(plain / MEDIA, settings.media, {one: wanted[one] for one in lacking})
    return {"added": len(lacking)}


def swap(settings: Settings, safety: str) -> dict[str, Any]:
    """Take the safety backup, unless declined, and put the loaded database in place."""
    serving, (loaded, replaced) = os.environ["PGDATABASE"], get_database_names()
    taken = take_safety(settings) if safety == "1" else ""
    rename((serving, replaced), (loaded, serving))
    return {"safety": taken}


def take_safety(settings: Settings) -> str:
    try:
        return dump.take(settings, manifest.SAFETY).name
    except EXPECTED as error:
        raise BackupError(f"no safety backup can be taken: {describe(error)}. SAFETY=0 restores without one") from error


def get_database_names() -> tuple[str, str]:
    """Return the names of the loaded database and of the replaced one."""
    serving = os.environ["PGDATABASE"]
    return f"{serving}_restored", f"{serving}_replaced"


def rename(*changes: tuple[str, str]) -> None:
    """Rename databases in one transaction, and end their sessions."""
    found = list_databases()
    with closing(database.connect(SERVER)) as connection, connection, connection.cursor() as cursor:
        for old, new in changes:
            if old not in found and old == os.environ["PGDATABASE"]:
                continue  # a lost database may be the reason for the restore
            # The statement blocks new sessions while it waits for the last one to end.
            with terminate_sessions(old):
                pair = sql.Identifier(old), sql.Identifier(new)
                cursor.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*pair))


def list_databases() -> set[str]:
    with closing(database.connect_autocommit(SERVER)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


@contextmanager
def terminate_sessions(name: str) -> Iterator[None]:
    """End sessions repeatedly: new ones come until the statement has its lock."""
    done = Event()

    def end() -> None:
        with closing(database.connect_autocommit(SERVER)) as connection, connection.cursor() as cursor:
            while not done.wait(TERMINATION_INTERVAL):
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    thread = Thread(target=end)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def undo(settings: Settings) -> dict[str, Any]:
    """Put the old state in place, and remove the new one. `examine` has removed leftovers of earlier restores."""
    serving, (loaded, replaced) = os.environ["PGDATABASE"], get_database_names()
    is_swapped = replaced in list_databases()
    if is_swapped:
        rename((serving, loaded), (replaced, serving))
    remove_leftovers(settings)
    return {"swapped_back": is_swapped}


def finish(settings: Settings, name: str, safety: str = "") -> dict[str, Any]:
    """Remove the replaced database, and files of the safety backup that are not part of the restored state."""
    catalogue.write_note(settings, NOTE, {})
    database.drop(SERVER, get_database_names()[1])
    # Files added since are in neither.
    kept = manifest.read(settings.backups / safety).media if safety else {}
    foreign = sorted(kept.keys() - manifest.read(settings.backups / name).media.keys())
    media.remove(settings.media, foreign)
    return {"removed": len(foreign)}


@contextmanager
def read_identity() -> Iterator[Path | None]:
    """Yield a file with the private key from standard input; it is in memory only, and removed after the block."""
    text = "" if sys.stdin.isatty() else sys.stdin.read()
    if not text.strip():
        yield None
        return
    with tempfile.NamedTemporaryFile("w", dir="/tmp") as file:
        file.write(text)
        file.flush()
        yield Path(file.name)


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "examine": examine,
    "load": load,
    "add-media": add_media,
    "swap": swap,
    "undo": undo,
    "finish": finish,
}

"""What `make prod-restore` does in a container of its own, step by step; deploy/restore.py leads it.

What serves is never written to. The backup is loaded into a database beside it, and two names change in one
transaction: before it the old state is whole, after it the restored one.
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

# Neither of the databases that are renamed.
SERVER = "dbname=postgres"
# By which a step that was killed is known to the server, where it may still be at work.
APPLICATION = "backup: restore"
# Media that a restore has added, so that one that fails can remove them.
NOTE = "restoring.json"
ENDING = 0.05  # seconds between two looks for sessions
# Loading writes what it loads into the log of changes as well, of which PostgreSQL keeps so much.
LOG = 2**30


def command(settings: Settings, step: str, *arguments: str) -> None:
    """Print what the step found, as JSON."""
    os.environ["PGAPPNAME"] = APPLICATION
    with lock(settings, f"a restore, its step {step}"):
        end_others()
        found = STEPS[step](settings, *arguments)
    print(json.dumps(found))


def end_others() -> None:
    """A step that was killed may have left a statement behind, with which the server goes on."""
    with closing(database.connect_autocommit(SERVER)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            [APPLICATION],
        )


def examine(settings: Settings, name: str) -> dict[str, Any]:
    """Read the whole backup, clear away what an earlier restore left, and tell what this one would change."""
    with read_identity() as key:
        wanted = parts.verify(settings.backups / name, key)
        parts.require_key(wanted, key)
    clear(settings)
    then, now = {table: facts.rows for table, facts in wanted.contents.tables.items()}, rows_now()
    return {
        "kind": wanted.kind,
        "finished": (wanted.moment or wanted.finished).isoformat(),
        "rows": {table: [then.get(table, 0), now.get(table, 0)] for table in then | now},
        "media": len(wanted.media),
        "size": wanted.size,
        "needed": needed(settings, wanted),
    }


def needed(settings: Settings, wanted: Manifest) -> int:
    """Bytes of the disk: the database, media, a decrypted copy, and a safety backup of what is there now."""
    serving = sum(path.stat().st_size for path in settings.media.rglob("*") if path.is_file())
    return wanted.database_size + min(wanted.database_size, LOG) + 3 * wanted.size + serving


def clear(settings: Settings) -> None:
    """Remove what a restore left that was killed: before its swap what it had added, after it what it had replaced."""
    loaded, replaced = names()
    if loaded in databases():
        database.drop(SERVER, loaded)
        media.remove(settings.media, catalogue.read_note(settings, NOTE).get("media", []))
        media.remove_partial(settings.media)
    database.drop(SERVER, replaced)
    catalogue.write_note(settings, NOTE, {})


def rows_now() -> dict[str, int]:
    """Nothing where the database is gone or cannot be read: that may be why it is to be restored."""
    try:
        with closing(database.connect()) as connection:
            return {name: table.rows for name, table in database.read_contents(connection).tables.items()}
    except (BackupError, psycopg2.Error):
        return {}


def load(settings: Settings, name: str) -> dict[str, Any]:
    """Load the database beside the one that serves."""
    loaded, _ = names()
    with read_identity() as key:
        found = parts.load(settings.backups / name, key, SERVER, loaded)
    return {"tables": len(found.tables), "rows": found.rows, "database": loaded}


def move(settings: Settings, name: str, loaded_as: str = "") -> None:
    """Load it into another server: one of the next major version, or a laptop's."""
    with read_identity() as key:
        wanted = parts.verify(settings.backups / name, key)
        found = parts.load(settings.backups / name, key, SERVER, loaded_as or wanted.database)
    print(json.dumps({"tables": len(found.tables), "rows": found.rows}))


def add_media(settings: Settings, name: str) -> dict[str, Any]:
    wanted = manifest.read(settings.backups / name).media
    lacking = media.find_missing(settings.media, wanted)
    # One that is there and damaged stays, once it is repaired.
    added = [one for one in lacking if not media.resolve_path(settings.media, one).exists()]
    catalogue.write_note(settings, NOTE, {"media": added})
    if lacking:
        with read_identity() as key, parts.open_parts(settings.backups / name, key) as plain:
            media.unpack(plain / MEDIA, settings.media, {one: wanted[one] for one in lacking})
    return {"added": len(lacking)}


def swap(settings: Settings, safety: str) -> dict[str, Any]:
    """Take the safety backup, unless that is not wanted, and let the loaded database serve."""
    serving, (loaded, replaced) = os.environ["PGDATABASE"], names()
    taken = take_safety(settings) if safety == "1" else ""
    rename((serving, replaced), (loaded, serving))
    return {"safety": taken}


def take_safety(settings: Settings) -> str:
    try:
        return dump.take(settings, manifest.SAFETY).name
    except EXPECTED as error:
        raise BackupError(f"no safety backup can be taken: {describe(error)}. SAFETY=0 restores without one") from error


def names() -> tuple[str, str]:
    """Of the database that is loaded, and of the one that it has replaced."""
    serving = os.environ["PGDATABASE"]
    return f"{serving}_restored", f"{serving}_replaced"


def rename(*changes: tuple[str, str]) -> None:
    """In one transaction, and whoever is in one of the databases is sent away."""
    found = databases()
    with closing(database.connect(SERVER)) as connection, connection, connection.cursor() as cursor:
        for old, new in changes:
            if old not in found and old == os.environ["PGDATABASE"]:
                continue  # it is gone, which may be why another is to take its place
            # The statement holds new sessions off while it waits for the last one to leave.
            with terminate_sessions(old):
                pair = sql.Identifier(old), sql.Identifier(new)
                cursor.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*pair))


def databases() -> set[str]:
    with closing(database.connect_autocommit(SERVER)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


@contextmanager
def terminate_sessions(name: str) -> Iterator[None]:
    """Again and again, for new ones come until the statement has its lock."""
    done = Event()

    def end() -> None:
        with closing(database.connect_autocommit(SERVER)) as connection, connection.cursor() as cursor:
            while not done.wait(ENDING):
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    thread = Thread(target=end)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def undo(settings: Settings) -> dict[str, Any]:
    """Have the old state serve, and remove what was put beside it. `examine` has left nothing of an earlier restore."""
    serving, (loaded, replaced) = os.environ["PGDATABASE"], names()
    is_swapped = replaced in databases()
    if is_swapped:
        rename((serving, loaded), (replaced, serving))
    clear(settings)
    return {"swapped_back": is_swapped}


def finish(settings: Settings, name: str, safety: str = "") -> dict[str, Any]:
    """Remove what is replaced: the database, and files that are in the safety backup and not in the restored state."""
    catalogue.write_note(settings, NOTE, {})
    database.drop(SERVER, names()[1])
    # Files that have come since are in neither.
    kept = manifest.read(settings.backups / safety).media if safety else {}
    foreign = sorted(kept.keys() - manifest.read(settings.backups / name).media.keys())
    media.remove(settings.media, foreign)
    return {"removed": len(foreign)}


@contextmanager
def read_identity() -> Iterator[Path | None]:
    """The private key that came through standard input; in memory only, and gone with the block."""
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

"""What `make prod-restore` has done in a container of its own, step by step; docker/restore.py leads it.

What serves is never written to. The backup is loaded into a database beside it, and two names change in one
transaction: before it the old state is whole, after it the restored one.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg2
from psycopg2 import sql

from backup import database, loading, manifest, media, parts, roles, room, taking
from backup.locking import lock
from backup.settings import FailedError, Settings

# Neither of the databases that are renamed.
SERVER = "dbname=postgres"
# By which a step that was killed is known to the server, where it may still be at work.
APPLICATION = "backup: restore"
ENDING = 0.05  # seconds between two looks for sessions


@dataclass
class Added:
    """What a restore has put beside what there was, so that one that fails can remove it."""

    roles: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)

    @staticmethod
    def file(settings: Settings) -> Path:
        return settings.state / "restoring.json"

    @classmethod
    def read(cls, settings: Settings) -> "Added":
        try:
            return cls(**json.loads(cls.file(settings).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return cls()

    def write(self, settings: Settings) -> None:
        settings.state.mkdir(exist_ok=True)
        self.file(settings).write_text(json.dumps(vars(self)))


def command(settings: Settings, step: str, *arguments: str) -> None:
    """Prints what the step found, as JSON."""
    os.environ["PGAPPNAME"] = APPLICATION
    with lock(settings, f"a restore, its step {step}"), taking.in_one_line():
        end_others()
        found = STEPS[step](settings, *arguments)
    print(json.dumps(found))


def end_others() -> None:
    """A step that was killed may have left a statement behind, with which the server goes on."""
    with closing(loading.session(SERVER)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s AND pid <> pg_backend_pid()",
            [APPLICATION],
        )


def examine(settings: Settings, name: str) -> dict[str, Any]:
    """Read the whole backup, clear away what an earlier restore left, and tell what this one would change."""
    directory = settings.backups / name
    with identity() as key:
        wanted = parts.verify(directory, key)
        if wanted.encrypted_to and not key:
            raise FailedError(f"{name} is encrypted: IDENTITY=file names the private key of {parts.owners(directory)}")
    settle(settings)
    then, now = {table: facts.rows for table, facts in wanted.contents.tables.items()}, rows_now()
    return {
        "kind": wanted.kind,
        "finished": (wanted.moment or wanted.finished).isoformat(),
        "rows": {table: [then.get(table, 0), now.get(table, 0)] for table in then | now},
        "media": len(wanted.media),
        "size": wanted.size,
        "room": room.asked(settings, wanted),
    }


def settle(settings: Settings) -> None:
    """Remove what a restore left that was killed: before its swap what it had added, after it what it had replaced."""
    loaded, replaced = names()
    with closing(loading.session(SERVER)) as connection, connection.cursor() as cursor:
        found = existing(cursor)
    if loaded in found:
        added = Added.read(settings)
        loading.drop(SERVER, loaded)
        remove(settings, added)
    loading.drop(SERVER, replaced)
    Added().write(settings)


def remove(settings: Settings, added: Added) -> None:
    with closing(loading.session(SERVER)) as connection, connection.cursor() as cursor:
        for role in added.roles:
            cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))
    media.remove(settings.media, added.media)
    media.remove_partial(settings.media)


def rows_now() -> dict[str, int]:
    """Nothing where the database is gone or cannot be read: that may be why it is to be restored."""
    try:
        with closing(database.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(database.DUMPED, ["r"])
            return {f"{schema}.{name}": count(cursor, schema, name) for schema, name in cursor.fetchall()}
    except (FailedError, psycopg2.Error):
        return {}


def count(cursor: Any, schema: str, name: str) -> int:
    cursor.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, name)))
    return int(cursor.fetchone()[0])


def load(settings: Settings, name: str) -> dict[str, Any]:
    """The database, beside the one that serves."""
    directory, (loaded, _) = settings.backups / name, names()
    with identity() as key:
        with closing(database.connect(SERVER)) as connection, connection.cursor() as cursor:
            new = roles.missing(cursor, loading.globals_of(directory, key))
        Added(roles=new).write(settings)
        found = loading.load(directory, manifest.read(directory), key, SERVER, loaded)
    return {"tables": len(found.tables), "rows": found.rows, "database": loaded}


def add_media(settings: Settings, name: str) -> dict[str, Any]:
    directory = settings.backups / name
    wanted, added = manifest.read(directory), Added.read(settings)
    lacking = media.lacking(settings.media, wanted)
    # One that is there and damaged stays, once it is repaired.
    added.media = [one for one in lacking if not media.place(settings.media, one).exists()]
    added.write(settings)
    if lacking:
        with identity() as key, parts.reading(directory, parts.MEDIA, key) as archive:
            media.unpack(archive, settings.media, wanted, lacking)
    return {"added": len(lacking)}


def swap(settings: Settings, safety: str) -> dict[str, Any]:
    """Take the safety backup, unless that is not wanted, and let the loaded database serve."""
    serving, (loaded, replaced) = os.environ["PGDATABASE"], names()
    taken = take_safety(settings) if safety == "1" else ""
    rename((serving, replaced), (loaded, serving))
    return {"safety": taken}


def take_safety(settings: Settings) -> str:
    try:
        return taking.take(settings, manifest.SAFETY).name
    except FailedError as error:
        raise FailedError(f"no safety backup can be taken: {error}. SAFETY=0 restores without one") from error


def names() -> tuple[str, str]:
    """Of the database that is loaded, and of the one that it has replaced."""
    serving = os.environ["PGDATABASE"]
    return f"{serving}_restored", f"{serving}_replaced"


def rename(*changes: tuple[str, str]) -> None:
    """In one transaction, and whoever is in one of the databases is sent away."""
    with closing(database.connect(SERVER)) as connection, connection, connection.cursor() as cursor:
        found = existing(cursor)
        for old, new in changes:
            if old not in found and old == os.environ["PGDATABASE"]:
                continue  # it is gone, which may be why another is to take its place
            # The statement holds new sessions off while it waits for the last one to leave.
            with sessions_ended(old):
                pair = sql.Identifier(old), sql.Identifier(new)
                cursor.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*pair))


def existing(cursor: Any) -> set[str]:
    cursor.execute("SELECT datname FROM pg_database")
    return {name for (name,) in cursor.fetchall()}


@contextmanager
def sessions_ended(name: str) -> Iterator[None]:
    """Again and again, for new ones come until the statement has its lock."""
    done = Event()

    def end() -> None:
        with closing(loading.session(SERVER)) as connection, connection.cursor() as cursor:
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
    with closing(loading.session(SERVER)) as connection, connection.cursor() as cursor:
        is_swapped = replaced in existing(cursor)
    if is_swapped:
        rename((serving, loaded), (replaced, serving))
    settle(settings)
    return {"swapped_back": is_swapped}


def finish(settings: Settings, name: str, safety: str = "") -> dict[str, Any]:
    """Remove what is replaced: the database, and files that are in the safety backup and not in the restored state."""
    Added().write(settings)
    loading.drop(SERVER, names()[1])
    # Files that have come since are in neither.
    kept = manifest.read(settings.backups / safety).media if safety else {}
    foreign = sorted(kept.keys() - manifest.read(settings.backups / name).media.keys())
    media.remove(settings.media, foreign)
    return {"removed": len(foreign)}


@contextmanager
def identity() -> Iterator[Path | None]:
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

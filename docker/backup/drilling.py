"""The drill: the newest backup is restored on a server of its own, compared, and served by the application.

Nothing that serves takes part in it: the server is reached by a socket, the files are in a volume apart, and the
application runs in a container without a network.
"""

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from psycopg2 import sql
from psycopg2.extensions import make_dsn

from backup import catalogue, loading, manifest, media, parts, reporting, runs, scratch
from backup.locking import lock
from backup.manifest import SCHEDULED, Manifest
from backup.restoring import identity
from backup.settings import FailedError, Settings
from backup.taking import in_one_line

NOTE = "drill.json"
EVERY = timedelta(days=7)
# By itself it runs behind a scheduled backup, when nobody is at work.
BEHIND = timedelta(hours=1)
# Seconds until the application has noticed that it is asked, and until it has answered.
NOTICED, ANSWERED = 30, 900
PASSED = (
    "{rows} rows in {tables} tables and {media_files} media files are as they were, {sequences} sequences go on, "
    "the application starts, and an administrator logs in and sees {listed} customers"
)
OWNED = """
    SELECT sn.nspname, s.relname, n.nspname, c.relname, a.attname FROM pg_class s
    JOIN pg_namespace sn ON sn.oid = s.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
    JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S'
"""
BEHIND_ITS_COLUMN = "SELECT max({column}), (SELECT last_value FROM {sequence}) FROM {table}"


@dataclass(frozen=True)
class Drill:
    """How one ended; without a reason it has passed."""

    backup: str
    time: str
    seconds: float
    reason: str
    figures: dict[str, Any]

    @property
    def verdict(self) -> str:
        return "FAIL" if self.reason else "PASS"

    @property
    def text(self) -> str:
        found = self.reason or PASSED.format(**self.figures)
        return f"{self.verdict}  backup {self.backup}, {self.seconds:.1f} s: {found}"


def command(settings: Settings) -> None:
    with identity() as key:
        if not key:
            refuse_without_key(settings)
        drill = run(settings, key)
    print(drill.text)
    if drill.reason:
        sys.exit(1)


def refuse_without_key(settings: Settings) -> None:
    newest = catalogue.newest_sound(settings)
    if newest and newest.manifest and newest.manifest.encrypted_to:
        owners = ", ".join(newest.manifest.encrypted_to)
        raise FailedError(f"{newest.name} is encrypted: IDENTITY=file names the private key of {owners}")


def run(settings: Settings, key: Path | None) -> Drill:
    """Of the newest backup. Whatever is found to be wrong is a failure of the drill, and told as one."""
    with lock(settings, "a drill"):
        name = (manifest.names(settings.backups) or [""])[-1]
        if not name:
            raise FailedError("there is no backup yet: make prod-backup takes one")
        started, figures = time.monotonic(), dict[str, Any]()
        reason = fault(settings, name, key, figures)
        seconds = round(time.monotonic() - started, 1)
        drill = Drill(name, datetime.now(UTC).isoformat(timespec="seconds"), seconds, reason, figures)
        catalogue.write_note(settings, NOTE, asdict(drill))
    tell(settings, drill)
    return drill


def fault(settings: Settings, name: str, key: Path | None, figures: dict[str, Any]) -> str:
    """What is wrong with the backup; blank where it restores."""
    try:
        with empty(settings.drill) as directory, in_one_line():
            prove(settings.backups / name, key, directory, figures)
    except FailedError as error:
        return str(error)
    return ""


def tell(settings: Settings, drill: Drill) -> None:
    facts = {"name": drill.backup, "seconds": drill.seconds, **drill.figures}
    if drill.reason:
        reporting.failed(settings, "drill", drill.reason, **facts)
    else:
        reporting.say("INFO", "drill passed", **facts)


def prove(backup: Path, key: Path | None, directory: Path, figures: dict[str, Any]) -> None:
    """Raises FailedError where it does not restore; `figures` tells how far it came."""
    wanted = parts.verify(backup, key)
    check_room(wanted, directory)
    with parts.reading(backup, parts.MEDIA, key) as archive:
        media.unpack(archive, directory / "media", wanted, wanted.media)
    figures["media_files"] = len(wanted.media)
    user = os.environ["PGUSER"]
    with scratch.server(directory / "server", user) as dsn:
        found = loading.load(backup, wanted, key, dsn, wanted.database)
        figures |= {"tables": len(found.tables), "rows": found.rows}
        figures["sequences"] = check_sequences(make_dsn(dsn, dbname=wanted.database))
        host = quote(str(directory / "server"), safe="")
        url = f"postgresql://{user}:none@{host}/{wanted.database}"
        seen = ask(directory, {"database_url": url, "media": str(directory / "media")})
    figures["listed"] = check_rows(wanted, seen)


def check_rows(wanted: Manifest, seen: dict[str, dict[str, int]]) -> int:
    """How many the application's pages tell of; of a big table they tell that there are at least so many."""
    all_rows, at_least = seen.get("rows", {}), seen.get("at_least", {})
    for table, count in {**all_rows, **at_least}.items():
        rows = wanted.contents.tables[f"public.{table}"].rows
        if rows < count or (table in all_rows and rows != count):
            raise FailedError(f"the application lists {count} rows of {table}, of which there are {rows}")
    return sum(all_rows.values()) + sum(at_least.values())


def check_room(wanted: Manifest, directory: Path) -> None:
    """A drill must not fill the disk of those who serve."""
    needed = 2 * wanted.database_size + wanted.size + 2**28
    if (free := shutil.disk_usage(directory).free) < needed:
        raise FailedError(f"a drill may need {needed / 10**6:.0f} MB, and {free / 10**6:.0f} MB of the disk are free")


def check_sequences(dsn: str) -> int:
    """How many there are; each must be past what is in its column, or the next row could not be added."""
    with closing(loading.session(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(OWNED)
        owned = cursor.fetchall()
        for schema, sequence, table_schema, table, column in owned:
            names = {
                "column": sql.Identifier(column),
                "sequence": sql.Identifier(schema, sequence),
                "table": sql.Identifier(table_schema, table),
            }
            cursor.execute(sql.SQL(BEHIND_ITS_COLUMN).format(**names))
            highest, last = cursor.fetchone()
            if highest is not None and highest > last:
                raise FailedError(f"sequence {schema}.{sequence} is at {last}, and {table}.{column} at {highest}")
    return len(owned)


def ask(directory: Path, request: dict[str, str]) -> dict[str, Any]:
    """Have the application, which waits in a container of its own, prove itself on what was restored."""
    files = {name: directory / f"{name}.json" for name in ("request", "accepted", "answer")}
    mark = secrets.token_hex(8)
    partial = files["request"].with_suffix(".partial")
    partial.write_text(json.dumps(request | {"mark": mark}))
    partial.replace(files["request"])
    wait_for(files["accepted"], NOTICED, "the container `drill` does not notice that it is asked; does it run?")
    deadline = time.monotonic() + ANSWERED
    while time.monotonic() < deadline:
        wait_for(files["answer"], deadline - time.monotonic(), f"the application has not answered within {ANSWERED} s")
        answer: dict[str, Any] = json.loads(files["answer"].read_text())
        files["answer"].unlink()
        # One that was killed may have asked before.
        if answer["mark"] == mark:
            break
    if error := answer.get("error"):
        raise FailedError(f"the application cannot serve it: {error}")
    return answer


def wait_for(path: Path, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise FailedError(otherwise)
        time.sleep(0.1)


@contextmanager
def empty(directory: Path) -> Iterator[Path]:
    """The directory with nothing of a drill in it, before and afterwards."""
    try:
        clear(directory)
        yield directory
    finally:
        clear(directory)


def clear(directory: Path) -> None:
    for name in ("server", "media"):
        shutil.rmtree(directory / name, ignore_errors=True)
    for path in directory.glob("*.json"):
        path.unlink()


def last(settings: Settings) -> Drill | None:
    try:
        return Drill(**catalogue.read_note(settings, NOTE))
    except TypeError:
        return None


def is_due(settings: Settings, now: datetime, first_start: datetime | None) -> bool:
    drill = last(settings)
    since = datetime.fromisoformat(drill.time) if drill else first_start
    return since is not None and now - since >= EVERY


def run_when_due(settings: Settings, now: datetime, first_start: datetime | None) -> None:
    """Once a week, behind a scheduled backup; one that is encrypted waits for a person with the key."""
    scheduled = next((one for one in runs.last_runs(settings) if one.kind == SCHEDULED and one.finished), None)
    if not scheduled or not scheduled.finished or now - scheduled.finished > BEHIND:
        return
    newest = catalogue.newest_sound(settings)
    if newest and newest.manifest and not newest.manifest.encrypted_to and is_due(settings, now, first_start):
        run(settings, None)

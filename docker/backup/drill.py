"""The drill: the newest backup is restored on a server of its own, compared, and served by the application.

Nothing that serves takes part in it. The container `drill` shares a volume with this one: it runs
`manage.py prove_restore` as soon as a manifest lies there, on the server whose socket lies beside it.
"""

import os
import shutil
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import make_dsn

from backup import catalogue, database, manifest, media, notify, parts, runs, scratch
from backup.errors import EXPECTED, FailedError, describe
from backup.lock import lock
from backup.manifest import MEDIA, SCHEDULED, Manifest
from backup.restore import identity
from backup.settings import Settings
from backup.text import size

NOTE = "drill.json"
EVERY = timedelta(days=7)
# By itself it runs behind a scheduled backup, when nobody is at work.
BEHIND = timedelta(hours=1)
# Seconds until the application has seen the manifest, and until it has proven what it serves.
SEEN, PROVEN = 30, 900
PASSED = (
    "{rows} rows in {tables} tables and {media_files} media files are as they were, {sequences} sequences go on; "
    "{application}"
)
OWNED_SEQUENCES = """
    SELECT sn.nspname, s.relname, n.nspname, c.relname, a.attname FROM pg_class s
    JOIN pg_namespace sn ON sn.oid = s.relnamespace
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i')
    JOIN pg_class c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S'
"""


@dataclass(frozen=True)
class Drill:
    """How one ended; without a reason it has passed."""

    backup: str
    time: str
    seconds: float
    reason: str
    figures: dict[str, Any]

    @property
    def text(self) -> str:
        verdict, found = ("FAIL", self.reason) if self.reason else ("PASS", PASSED.format(**self.figures))
        return f"{verdict}  backup {self.backup}, {self.seconds:.1f} s: {found}"


def command(settings: Settings) -> None:
    with identity() as key:
        if (newest := catalogue.newest_sound(settings)) and newest.manifest:
            parts.require_key(newest.manifest, key)
        drill = run(settings, key)
    print(drill.text)
    if drill.reason:
        sys.exit(1)


def run(settings: Settings, key: Path | None) -> Drill:
    """Drill the newest backup. Whatever is found to be wrong is a failure of the drill, and reported as one."""
    with lock(settings, "a drill"):
        name = (manifest.names(settings.backups) or [""])[-1]
        if not name:
            raise FailedError("there is no backup yet: make prod-backup takes one")
        started, reason, figures = time.monotonic(), "", dict[str, Any]()
        try:
            with scratch.empty(settings.scratch) as directory:
                prove(settings.backups / name, key, directory, figures)
        except EXPECTED as error:
            reason = describe(error)
        seconds = round(time.monotonic() - started, 1)
        drill = Drill(name, datetime.now(UTC).isoformat(timespec="seconds"), seconds, reason, figures)
        catalogue.write_note(settings, NOTE, asdict(drill))
    facts = {"name": name, "seconds": seconds, **figures}
    if reason:
        notify.report_failure(settings, "drill", reason, **facts)
    else:
        notify.log("INFO", "drill passed", **facts)
    return drill


def prove(backup: Path, key: Path | None, directory: Path, figures: dict[str, Any]) -> None:
    """Raise FailedError where it does not restore; `figures` tells how far it came."""
    wanted = parts.verify(backup, key)
    check_room(wanted, directory)
    with parts.opened(backup, key) as plain:
        media.unpack(plain / MEDIA, directory / "media", wanted.media)
    figures["media_files"] = len(wanted.media)
    with scratch.server(directory / "server", os.environ["PGUSER"]) as dsn:
        found = parts.load(backup, key, dsn, wanted.database)
        figures |= {"tables": len(found.tables), "rows": found.rows}
        figures["sequences"] = check_sequences(make_dsn(dsn, dbname=wanted.database))
        figures["application"] = application_proof(backup / manifest.FILE, directory)


def check_room(wanted: Manifest, directory: Path) -> None:
    """A drill must not fill the disk of those who serve."""
    needed = 2 * wanted.database_size + 2 * wanted.size + 2**28
    if (free := shutil.disk_usage(directory).free) < needed:
        raise FailedError(f"a drill may need {size(needed)}, and {size(free)} of the disk are free")


def check_sequences(dsn: str) -> int:
    """How many there are; each must be past what is in its column, or the next row could not be added."""
    with closing(database.session(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(OWNED_SEQUENCES)
        owned = cursor.fetchall()
        for schema, sequence, table_schema, table, column in owned:
            names = sql.Identifier(column), sql.Identifier(schema, sequence), sql.Identifier(table_schema, table)
            cursor.execute(sql.SQL("SELECT max({}), (SELECT last_value FROM {}) FROM {}").format(*names))
            highest, last = cursor.fetchone()
            if highest is not None and highest > last:
                raise FailedError(f"sequence {schema}.{sequence} is at {last}, and {table}.{column} at {highest}")
    return len(owned)


def application_proof(facts: Path, directory: Path) -> str:
    """What `manage.py prove_restore` says of the server and the media in the directory."""
    given, proof = directory / facts.name, directory / "proof"
    shutil.copy(facts, directory / "partial")
    (directory / "partial").rename(given)
    wait_until(lambda: not given.exists(), SEEN, "the container `drill` does not see what is restored; does it run?")
    wait_until(proof.exists, PROVEN, f"the application has proven nothing within {PROVEN} s")
    *output, code = proof.read_text().splitlines()
    last = (output or ["it said nothing"])[-1]
    if code != "0":
        raise FailedError(f"the application cannot serve it: {last}")
    return last


def wait_until(condition: Any, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise FailedError(otherwise)
        time.sleep(0.1)


def last(settings: Settings) -> Drill | None:
    try:
        return Drill(**catalogue.read_note(settings, NOTE))
    except TypeError:
        return None


def is_due(settings: Settings, now: datetime) -> bool:
    drill = last(settings)
    since = datetime.fromisoformat(drill.time) if drill else runs.first_start(settings)
    return since is not None and now - since >= EVERY


def run_when_due(settings: Settings, now: datetime) -> None:
    """Once a week, behind a scheduled backup; one that is encrypted waits for a person with the key."""
    scheduled = runs.last_runs(settings).get(SCHEDULED)
    if not scheduled or not scheduled.finished or now - scheduled.finished > BEHIND or not is_due(settings, now):
        return
    newest = catalogue.newest_sound(settings)
    if newest and not newest.encrypted_to:
        run(settings, None)

"""The drill: restores the newest backup on a scratch server, compares it, and lets the application serve it.

Production is not involved. The container `drill` shares a volume with this one: it runs `manage.py prove_restore` as
soon as there is a manifest, on the server whose socket is beside it.
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
from backup.errors import EXPECTED, BackupError, describe
from backup.lock import lock
from backup.manifest import MEDIA, SCHEDULED, Manifest
from backup.restore import read_identity
from backup.settings import Settings
from backup.text import size

NOTE = "drill.json"
EVERY = timedelta(days=7)
# It starts by itself only within this time after a scheduled backup, when nobody is at work.
MAX_DELAY = timedelta(hours=1)
# Time limits in seconds: until the application picks the manifest up, and until its checks end.
PICKUP_SECONDS, CHECK_SECONDS = 30, 900
PASSED = (
    "{rows} rows in {tables} tables and {media_files} media files match the backup, {sequences} sequences are valid; "
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
    """The result of a drill; without a reason it passed."""

    backup: str
    time: str
    seconds: float
    reason: str
    figures: dict[str, Any]

    @property
    def text(self) -> str:
        verdict, details = ("FAIL", self.reason) if self.reason else ("PASS", PASSED.format(**self.figures))
        return f"{verdict}  backup {self.backup}, {self.seconds:.1f} s: {details}"


def command(settings: Settings) -> None:
    with read_identity() as key:
        if (newest := catalogue.find_newest_intact(settings)) and newest.manifest:
            parts.require_key(newest.manifest, key)
        drill = run(settings, key)
    print(drill.text)
    if drill.reason:
        sys.exit(1)


def run(settings: Settings, key: Path | None) -> Drill:
    """Drill the newest backup; any error is recorded and reported as a failed drill."""
    with lock(settings, "a drill"):
        name = (manifest.names(settings.backups) or [""])[-1]
        if not name:
            raise BackupError("there is no backup yet: take one first")
        started, reason, figures = time.monotonic(), "", dict[str, Any]()
        try:
            with scratch.empty(settings.scratch) as directory:
                restore_and_compare(settings.backups / name, key, directory, figures)
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


def restore_and_compare(backup: Path, key: Path | None, directory: Path, figures: dict[str, Any]) -> None:
    """Raise BackupError if the backup cannot be restored; `figures` is filled step by step."""
    wanted = parts.verify(backup, key)
    check_disk_space(wanted, directory)
    with parts.open_parts(backup, key) as plain:
        media.unpack(plain / MEDIA, directory / "media", wanted.media)
    figures["media_files"] = len(wanted.media)
    with scratch.server(directory / "server", os.environ["POSTGRES_USER"]) as dsn:
        create_owner(dsn)
        found = parts.load(backup, key, dsn, wanted.database)
        figures |= {"tables": len(found.tables), "rows": found.rows}
        figures["sequences"] = check_sequences(make_dsn(dsn, dbname=wanted.database))
        figures["application"] = check_application(backup / manifest.FILE, directory)


def create_owner(dsn: str) -> None:
    """Create the role that the application connects as, without a password: the server has no network."""
    with closing(database.connect_autocommit(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(parts.OWNER)))


def check_disk_space(wanted: Manifest, directory: Path) -> None:
    """Raise BackupError if a drill could fill the disk."""
    needed = 2 * wanted.database_size + 2 * wanted.size + 2**28
    if (free := shutil.disk_usage(directory).free) < needed:
        raise BackupError(f"a drill needs up to {size(needed)}, but {size(free)} of disk space are free")


def check_sequences(dsn: str) -> int:
    """Return the number of sequences; raise BackupError if one is behind its column, where an INSERT would fail."""
    with closing(database.connect_autocommit(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(OWNED_SEQUENCES)
        owned = cursor.fetchall()
        for schema, sequence, table_schema, table, column in owned:
            names = sql.Identifier(column), sql.Identifier(schema, sequence), sql.Identifier(table_schema, table)
            cursor.execute(sql.SQL("SELECT max({}), (SELECT last_value FROM {}) FROM {}").format(*names))
            highest, last = cursor.fetchone()
            if highest is not None and highest > last:
                raise BackupError(f"sequence {schema}.{sequence} is at {last}, and {table}.{column} at {highest}")
    return len(owned)


def check_application(facts: Path, directory: Path) -> str:
    """Return the last line of `manage.py prove_restore` for the restored database and media."""
    request, proof = directory / facts.name, directory / "proof"
    shutil.copy(facts, directory / "partial")
    (directory / "partial").rename(request)
    wait_until(
        lambda: not request.exists(),
        PICKUP_SECONDS,
        "the container `drill` did not pick up the manifest; is it running?",
    )
    wait_until(proof.exists, CHECK_SECONDS, f"the application's checks took more than {CHECK_SECONDS} s")
    *output, code = proof.read_text().splitlines()
    last = (output or ["no output"])[-1]
    if code != "0":
        raise BackupError(f"the application cannot serve it: {last}")
    return last


def wait_until(condition: Any, seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BackupError(otherwise)
        time.sleep(0.1)


def last_drill(settings: Settings) -> Drill | None:
    try:
        return Drill(**catalogue.read_note(settings, NOTE))
    except TypeError:
        return None


def is_due(settings: Settings, now: datetime) -> bool:
    drill = last_drill(settings)
    since = datetime.fromisoformat(drill.time) if drill else runs.first_start(settings)
    return since is not None and now - since >= EVERY


def run_when_due(settings: Settings, now: datetime) -> None:
    """Run weekly, after a scheduled backup; an encrypted one needs a person with the key."""
    scheduled = runs.last_runs(settings).get(SCHEDULED)
    if not scheduled or not scheduled.finished or now - scheduled.finished > MAX_DELAY or not is_due(settings, now):
        return
    newest = catalogue.find_newest_intact(settings)
    if newest and not newest.encrypted_to:
        run(settings, None)

"""A run: takes a backup, copies it off-site, and prunes old ones."""

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backup import dump, notify, offsite, retention
from backup.catalogue import read_note, write_note
from backup.errors import EXPECTED, BackupError, describe
from backup.lock import lock
from backup.manifest import KINDS, MANUAL, Manifest
from backup.settings import Settings

NOTE, FIRST_START = "runs.json", "first_start.json"
RUNNING, OK = "running", "ok"
# Seconds that the service waits for a restore or a drill in progress.
LOCK_TIMEOUT = 1800.0


@dataclass(frozen=True)
class Run:
    """The last run of a kind."""

    kind: str
    started: datetime
    finished: datetime | None = None
    # RUNNING, OK, or why it failed.
    outcome: str = RUNNING
    # Name of the backup, once it is taken; a later failure was in a step after it.
    name: str = ""

    @property
    def has_failed(self) -> bool:
        return self.outcome not in (RUNNING, OK)


def last_runs(settings: Settings) -> dict[str, Run]:
    """By kind."""
    return {kind: decode(facts) for kind, facts in read_note(settings, NOTE).items()}


def decode(facts: dict[str, Any]) -> Run:
    return Run(**facts | {name: datetime.fromisoformat(facts[name]) for name in ("started", "finished") if facts[name]})


def record(settings: Settings, run: Run) -> None:
    with suppress(OSError):  # a full disk
        write_note(settings, NOTE, read_note(settings, NOTE) | {run.kind: asdict(run)})


def command(settings: Settings, kind: str = MANUAL) -> None:
    """The command `take [KIND]`."""
    if kind not in KINDS:
        raise BackupError(f"{kind!r} is not one of {', '.join(KINDS)}")
    start, found = time.monotonic(), take(settings, kind)
    print(
        f"Backup {found.name}: {found.contents.rows} rows in {len(found.contents.tables)} tables, {len(found.media)} "
        f"media files; {found.size} bytes, verified, in {time.monotonic() - start:.1f} s"
    )


def take(settings: Settings, kind: str, timeout: float = 60) -> Manifest:
    """Take a backup and return its manifest. A failure is recorded, reported and raised; a backup taken is kept."""
    run, start = Run(kind, now()), time.monotonic()
    try:
        with lock(settings, f"a {kind} backup", timeout):
            record(settings, run)
            found = dump.take(settings, kind)
            run = replace(run, name=found.name)
            copy_and_prune(settings)
    except EXPECTED as error:
        fail(settings, run, describe(error))
        raise BackupError(describe(error)) from error
    notify.log("INFO", "backup taken", **summary(found), seconds=round(time.monotonic() - start, 2))
    record(settings, replace(run, finished=now(), outcome=OK))
    return found


def resume(settings: Settings, failed: Run) -> None:
    """Retry a failed run: the backup or, if that was taken, the steps after it."""
    if not failed.name:
        take(settings, failed.kind, LOCK_TIMEOUT)
        return
    try:
        with lock(settings, "copies of backups", LOCK_TIMEOUT):
            copy_and_prune(settings)
    except (BackupError, OSError) as error:
        fail(settings, failed, describe(error))
        raise
    notify.log("INFO", "backup copied off-site", name=failed.name)
    record(settings, replace(failed, finished=now(), outcome=OK))


def copy_and_prune(settings: Settings) -> None:
    """Copy backups off-site and prune; prune here even if copying failed."""
    try:
        offsite.copy_missing(settings)
        offsite.prune(settings, now())
    except BackupError as error:
        raise BackupError(f"the backup is here and verified, but copying it off-site failed: {error}") from error
    finally:
        retention.prune(settings, now())


def fail(settings: Settings, run: Run, reason: str) -> None:
    record(settings, replace(run, finished=now(), outcome=reason))
    notify.report_failure(settings, "backup", reason, kind=run.kind, name=run.name)


def summary(found: Manifest) -> dict[str, Any]:
    return {
        "name": found.name,
        "kind": found.kind,
        "bytes": {name: file.size for name, file in found.files.items()},
        "tables": len(found.contents.tables),
        "rows": found.contents.rows,
        "media_files": len(found.media),
        "encrypted": bool(found.encrypted_to),
    }


def note_first_start(settings: Settings) -> None:
    if not first_start(settings):
        write_note(settings, FIRST_START, {"time": now()})


def first_start(settings: Settings) -> datetime | None:
    time = read_note(settings, FIRST_START).get("time")
    return datetime.fromisoformat(time) if time else None


def now() -> datetime:
    return datetime.now(UTC)

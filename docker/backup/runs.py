"""A run: a backup, its copy elsewhere, and then the end of those that are no longer kept."""

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backup import dump, notify, offsite, retention
from backup.catalogue import read_note, write_note
from backup.errors import EXPECTED, FailedError, describe
from backup.lock import lock
from backup.manifest import KINDS, MANUAL, Manifest
from backup.settings import Settings

NOTE, FIRST_START = "runs.json", "first_start.json"
RUNNING, OK = "running", "ok"
# Seconds for which the service waits: a restore or a drill may be under way.
PATIENCE = 1800.0


@dataclass(frozen=True)
class Run:
    """The last one of its kind."""

    kind: str
    started: datetime
    finished: datetime | None = None
    # RUNNING, OK, or why it failed.
    outcome: str = RUNNING
    # Of the backup, where there is one: what failed came after it.
    name: str = ""

    @property
    def has_failed(self) -> bool:
        return self.outcome not in (RUNNING, OK)


def last_runs(settings: Settings) -> dict[str, Run]:
    """By kind."""
    return {kind: decode(facts) for kind, facts in read_note(settings, NOTE).items()}


def decode(facts: dict[str, Any]) -> Run:
    return Run(**facts | {name: datetime.fromisoformat(facts[name]) for name in ("started", "finished") if facts[name]})


def note(settings: Settings, run: Run) -> None:
    with suppress(OSError):  # a full disk
        write_note(settings, NOTE, read_note(settings, NOTE) | {run.kind: asdict(run)})


def command(settings: Settings, kind: str = MANUAL) -> None:
    """For a person, or a deploy: `take [KIND]`."""
    if kind not in KINDS:
        raise FailedError(f"{kind!r} is not one of {', '.join(KINDS)}")
    start, found = time.monotonic(), take(settings, kind)
    print(
        f"Backup {found.name}: {found.contents.rows} rows in {len(found.contents.tables)} tables, {len(found.media)} "
        f"media files; {found.size} bytes, verified, in {time.monotonic() - start:.1f} s"
    )


def take(settings: Settings, kind: str, patience: float = 60) -> Manifest:
    """A failure is noted and reported, then raised. Where a copy elsewhere failed, the backup is there all the same."""
    run, start = Run(kind, now()), time.monotonic()
    try:
        with lock(settings, f"a {kind} backup", patience):
            note(settings, run)
            found = dump.take(settings, kind)
            run = replace(run, name=found.name)
            follow_up(settings)
    except EXPECTED as error:
        fail(settings, run, describe(error))
        raise FailedError(describe(error)) from error
    notify.log("INFO", "backup taken", **summary(found), seconds=round(time.monotonic() - start, 2))
    note(settings, replace(run, finished=now(), outcome=OK))
    return found


def resume(settings: Settings, failed: Run) -> None:
    """Try one that failed again or, where the backup is there, what came after it."""
    if not failed.name:
        take(settings, failed.kind, PATIENCE)
        return
    try:
        with lock(settings, "copies of backups", PATIENCE):
            follow_up(settings)
    except (FailedError, OSError) as error:
        fail(settings, failed, describe(error))
        raise
    notify.log("INFO", "backup copied elsewhere", name=failed.name)
    note(settings, replace(failed, finished=now(), outcome=OK))


def follow_up(settings: Settings) -> None:
    """Copy all that lack a copy, then end what is too old, here also where a copy failed."""
    try:
        offsite.copy_missing(settings)
        offsite.prune(settings, now())
    except FailedError as error:
        raise FailedError(f"the backup is here and verified, but it was not copied elsewhere: {error}") from error
    finally:
        retention.prune(settings, now())


def fail(settings: Settings, run: Run, reason: str) -> None:
    note(settings, replace(run, finished=now(), outcome=reason))
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

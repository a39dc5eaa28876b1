"""A run: a backup, its copy elsewhere, and then the end of those that are no longer kept."""

import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from backup import offsite, reporting, retention
from backup.catalogue import read_note, write_note
from backup.locking import PATIENCE, is_free, lock
from backup.manifest import KINDS, MANUAL, Manifest
from backup.settings import FailedError, Settings
from backup.taking import Stages, in_one_line, take

NOTE = "runs.json"
RUNNING, OK = "running", "ok"


@dataclass(frozen=True)
class Run:
    """The last one of its kind, as it is noted for status and for the next one."""

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


def last_runs(settings: Settings) -> list[Run]:
    """One of each kind."""
    return [decoded(facts) for facts in read_note(settings, NOTE).values()]


def decoded(facts: dict[str, Any]) -> Run:
    times = {name: datetime.fromisoformat(facts[name]) for name in ("started", "finished") if facts[name]}
    return Run(**(facts | times))


def note(settings: Settings, run: Run) -> None:
    facts = asdict(run) | {"started": run.started.isoformat(), "finished": run.finished and run.finished.isoformat()}
    write_note(settings, NOTE, read_note(settings, NOTE) | {run.kind: facts})


def command(settings: Settings, kind: str = MANUAL) -> None:
    """For a person, or a deploy: `take [KIND]`."""
    if kind not in KINDS:
        raise FailedError(f"{kind!r} is not one of {', '.join(KINDS)}")
    start, found = time.monotonic(), run(settings, kind)
    print(
        f"Backup {found.name}: {found.contents.rows} rows in {len(found.contents.tables)} tables, {len(found.media)} "
        f"media files; {found.size} bytes, verified, in {time.monotonic() - start:.1f} s"
    )


def run(settings: Settings, kind: str, patience: float = PATIENCE) -> Manifest:
    """A failure is noted and told, then raised. Where a copy elsewhere failed, the backup is there all the same."""
    this, stages = Run(kind, now()), Stages()
    try:
        with in_one_line(), lock(settings, f"a {kind} backup", patience):
            note(settings, this)
            found = take(settings, kind, stages=stages)
            this = replace(this, name=found.name)
            follow_up(settings, stages)
    except FailedError as error:
        fail(settings, this, str(error))
        raise
    reporting.say("INFO", "backup taken", **facts(found), stages=stages, seconds=round(sum(stages.values()), 2))
    note(settings, replace(this, finished=now(), outcome=OK))
    return found


def resume(settings: Settings, failed: Run, patience: float = PATIENCE) -> None:
    """One that failed: anew, or, where the backup is there, what came after it."""
    if not failed.name:
        run(settings, failed.kind, patience)
        return
    try:
        with in_one_line(), lock(settings, "copies of backups", patience):
            follow_up(settings, Stages())
    except FailedError as error:
        fail(settings, failed, str(error))
        raise
    reporting.say("INFO", "backup copied elsewhere", name=failed.name)
    note(settings, replace(failed, finished=now(), outcome=OK))


def follow_up(settings: Settings, stages: Stages) -> None:
    """What comes after a good backup: copies of all that lack one, then retention, here also where a copy failed."""
    with in_one_line():
        try:
            with stages.timed("offsite"):
                offsite.copy_missing(settings)
                offsite.prune(settings, now())
        except FailedError as error:
            raise FailedError(f"the backup is here and verified, but it was not copied elsewhere: {error}") from error
        finally:
            with stages.timed("retention"):
                retention.prune(settings, now())


def fail(settings: Settings, run: Run, reason: str) -> None:
    note(settings, replace(run, finished=now(), outcome=reason))
    reporting.failed(settings, "backup", reason, kind=run.kind, name=run.name)


def was_killed(settings: Settings) -> Run | None:
    """One that did not even come to say why it failed."""
    running = [run for run in last_runs(settings) if run.outcome == RUNNING]
    return running[0] if running and is_free(settings) else None


def facts(found: Manifest) -> dict[str, Any]:
    return {
        "name": found.name,
        "kind": found.kind,
        "bytes": {name: file.size for name, file in found.files.items()},
        "tables": len(found.contents.tables),
        "rows": found.contents.rows,
        "media_files": len(found.media),
        "encrypted": bool(found.encrypted_to),
    }


def now() -> datetime:
    return datetime.now(UTC)

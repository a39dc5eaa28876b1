"""A run: a backup, its copy elsewhere, and then the end of those that are no longer kept."""

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from backup import reporting
from backup.locking import PATIENCE, is_free
from backup.manifest import KINDS, MANUAL, Manifest
from backup.settings import FailedError, Settings
from backup.taking import Stages, take, write

RUNNING, OK = "running", "ok"


@dataclass(frozen=True)
class LastRun:
    kind: str
    started: str
    finished: str = ""
    # `running`, `ok`, or why it failed.
    outcome: str = RUNNING

    @property
    def has_failed(self) -> bool:
        return self.outcome not in (RUNNING, OK)


def last_run(settings: Settings) -> LastRun | None:
    try:
        return LastRun(**json.loads((settings.state / "last_run.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def note(settings: Settings, run: LastRun) -> None:
    """Where there is no room to write it down, the log has it."""
    with suppress(OSError):
        settings.state.mkdir(exist_ok=True)
        path = settings.state / "last_run.json"
        write(path.with_suffix(".partial"), json.dumps(asdict(run)))
        path.with_suffix(".partial").replace(path)


def was_killed(settings: Settings) -> LastRun | None:
    """The last run, where it did not even come to say why it failed."""
    run = last_run(settings)
    return run if run and run.outcome == RUNNING and is_free(settings) else None


def command(settings: Settings, kind: str = MANUAL) -> None:
    if kind not in KINDS:
        raise FailedError(f"{kind!r} is not one of {', '.join(KINDS)}")
    found, seconds = run(settings, kind)
    print(
        f"Backup {found.name}: {found.contents.rows} rows in {len(found.contents.tables)} tables, {len(found.media)} "
        f"media files; {found.size} bytes, verified, in {seconds:.1f} s"
    )


def run(settings: Settings, kind: str, patience: float = PATIENCE) -> tuple[Manifest, float]:
    """The backup, and the seconds that all of it took. A failure is noted and told, then raised."""
    start, run = time.monotonic(), LastRun(kind, now())
    stages: Stages = {}
    try:
        found = take(settings, kind, stages=stages, patience=patience)
    except FailedError as error:
        fail(settings, run, str(error))
        raise
    seconds = time.monotonic() - start
    reporting.say("INFO", "backup taken", **facts(found), seconds=round(seconds, 2), stages=stages)
    note(settings, LastRun(kind, run.started, now(), OK))
    return found, seconds


def fail(settings: Settings, run: LastRun, reason: str) -> None:
    note(settings, LastRun(run.kind, run.started, now(), reason))
    reporting.failed(settings, "backup", reason, kind=run.kind, started=run.started)


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


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

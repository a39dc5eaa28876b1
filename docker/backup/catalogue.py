"""The backups that are here, and what is known of each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backup import manifest
from backup.manifest import Manifest
from backup.settings import FailedError, Settings
from backup.taking import write

FAULTS = "faults.json"
# Notes that had no room. A failed run that was forgotten would be begun anew every few seconds.
unwritten: dict[Path, dict[str, Any]] = {}


@dataclass(frozen=True)
class Backup:
    name: str
    # None where it cannot be read.
    manifest: Manifest | None
    # Why it would not restore, as far as that was seen; blank where it was verified.
    fault: str = ""

    @property
    def taken(self) -> datetime:
        return moment(self.name)

    @property
    def kind(self) -> str:
        return self.manifest.kind if self.manifest else "?"


def backups(settings: Settings) -> list[Backup]:
    """Oldest first. Each was verified when it was taken; looked at now are the sizes alone."""
    return list(newest_first(settings))[::-1]


def newest_first(settings: Settings) -> Iterator[Backup]:
    """One by one: a manifest names every media file, and takes its time."""
    faults = read_note(settings, FAULTS)
    for name in reversed(manifest.names(settings.backups)):
        yield look_at(settings.backups / name, faults.get(name, ""))


def look_at(directory: Path, fault: str) -> Backup:
    try:
        found = manifest.read(directory)
    except FailedError as error:
        return Backup(directory.name, None, without_name(error))
    if found.name != directory.name:
        return Backup(directory.name, found, f"its manifest is that of {found.name}")
    return Backup(directory.name, found, fault or wrong_size(directory, found))


def wrong_size(directory: Path, found: Manifest) -> str:
    for name, file in found.files.items():
        path = directory / name
        if not path.exists():
            return f"{name} is missing"
        if (size := path.stat().st_size) != file.size:
            return f"{name} has {size} bytes instead of {file.size}"
    return ""


def newest_sound(settings: Settings) -> Backup | None:
    return next((one for one in newest_first(settings) if not one.fault), None)


def note_fault(settings: Settings, name: str, fault: str) -> None:
    """What a verification has found; blank where all was well."""
    faults = {one: said for one, said in read_note(settings, FAULTS).items() if (settings.backups / one).exists()}
    write_note(settings, FAULTS, (faults | {name: fault}) if fault else without(faults, name))


def without(facts: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key != name}


def without_name(error: FailedError) -> str:
    return str(error).partition(": ")[2]


def moment(name: str) -> datetime:
    return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def read_note(settings: Settings, name: str) -> dict[str, Any]:
    """Nothing where there is none: no backup needs it to be restored."""
    path = settings.state / name
    try:
        found = unwritten.get(path) or json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_note(settings: Settings, name: str, facts: dict[str, Any]) -> None:
    """Where the disk has no room for it, this process alone knows."""
    path = settings.state / name
    try:
        settings.state.mkdir(exist_ok=True)
        write(path.with_suffix(".partial"), json.dumps(facts, indent=1))
        path.with_suffix(".partial").replace(path)
    except OSError:
        unwritten[path] = facts
    else:
        unwritten.pop(path, None)

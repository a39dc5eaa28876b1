"""The backups that are here, and notes about them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backup import manifest
from backup.errors import FailedError
from backup.manifest import NAME_FORMAT, Manifest
from backup.settings import Settings


@dataclass(frozen=True)
class Backup:
    name: str
    # None where it cannot be read.
    manifest: Manifest | None
    # Why it would not restore, as far as a look at its names and sizes tells.
    fault: str = ""

    @property
    def taken(self) -> datetime:
        return moment(self.name)

    @property
    def kind(self) -> str:
        return self.manifest.kind if self.manifest else "?"

    @property
    def encrypted_to(self) -> tuple[str, ...]:
        return self.manifest.encrypted_to if self.manifest else ()


def backups(settings: Settings) -> list[Backup]:
    """Oldest first. Each was verified when it was taken; looked at now are the sizes alone."""
    return list(newest_first(settings))[::-1]


def newest_first(settings: Settings) -> Iterator[Backup]:
    """One by one: a manifest names every media file, and takes its time."""
    for name in reversed(manifest.names(settings.backups)):
        yield look_at(settings.backups / name)


def newest_sound(settings: Settings) -> Backup | None:
    return next((one for one in newest_first(settings) if not one.fault), None)


def look_at(directory: Path) -> Backup:
    try:
        found = manifest.read(directory)
    except FailedError as error:
        return Backup(directory.name, None, str(error).partition(": ")[2])
    if found.name != directory.name:
        return Backup(directory.name, found, f"its manifest is that of {found.name}")
    return Backup(directory.name, found, wrong_size(directory, found))


def wrong_size(directory: Path, found: Manifest) -> str:
    for name, file in found.files.items():
        path = directory / name
        if not path.exists():
            return f"{name} is missing"
        if (size := path.stat().st_size) != file.size:
            return f"{name} has {size} bytes instead of {file.size}"
    return ""


def moment(name: str) -> datetime:
    return datetime.strptime(name, NAME_FORMAT).replace(tzinfo=UTC)


def read_note(settings: Settings, name: str) -> dict[str, Any]:
    """Empty where there is none: no backup needs it to be restored."""
    try:
        found = json.loads((settings.state / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_note(settings: Settings, name: str, facts: dict[str, Any]) -> None:
    settings.state.mkdir(exist_ok=True)
    partial = settings.state / f"{name}.partial"
    partial.write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
    partial.replace(settings.state / name)

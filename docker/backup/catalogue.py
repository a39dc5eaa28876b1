"""The backups on this server, and state files beside them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backup import manifest
from backup.errors import BackupError
from backup.manifest import NAME_FORMAT, Manifest
from backup.settings import Settings


@dataclass(frozen=True)
class Backup:
    name: str
    # None if it cannot be read.
    manifest: Manifest | None
    # Why it cannot be restored, judging by names and sizes; blank if it can.
    fault: str = ""

    @property
    def taken(self) -> datetime:
        return parse_name(self.name)

    @property
    def kind(self) -> str:
        return self.manifest.kind if self.manifest else "?"

    @property
    def encrypted_to(self) -> tuple[str, ...]:
        return self.manifest.encrypted_to if self.manifest else ()


def backups(settings: Settings) -> list[Backup]:
    """All backups, oldest first. Only sizes are checked here; contents were verified when it was taken."""
    return list(newest_first(settings))[::-1]


def newest_first(settings: Settings) -> Iterator[Backup]:
    """Yield backups lazily: a manifest names every media file and is slow to read."""
    for name in reversed(manifest.names(settings.backups)):
        yield inspect_backup(settings.backups / name)


def find_newest_intact(settings: Settings) -> Backup | None:
    return next((one for one in newest_first(settings) if not one.fault), None)


def inspect_backup(directory: Path) -> Backup:
    try:
        found = manifest.read(directory)
    except BackupError as error:
        return Backup(directory.name, None, str(error).partition(": ")[2])
    if found.name != directory.name:
        return Backup(directory.name, found, f"its manifest belongs to {found.name}")
    return Backup(directory.name, found, size_error(directory, found))


def size_error(directory: Path, found: Manifest) -> str:
    for name, file in found.files.items():
        path = directory / name
        if not path.exists():
            return f"{name} is missing"
        if (size := path.stat().st_size) != file.size:
            return f"{name} has {size} bytes instead of {file.size}"
    return ""


def parse_name(name: str) -> datetime:
    return datetime.strptime(name, NAME_FORMAT).replace(tzinfo=UTC)


def read_note(settings: Settings, name: str) -> dict[str, Any]:
    """The state file's content; empty if there is none. No restore depends on it."""
    try:
        facts = json.loads((settings.state / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def write_note(settings: Settings, name: str, facts: dict[str, Any]) -> None:
    settings.state.mkdir(exist_ok=True)
    partial = settings.state / f"{name}.partial"
    partial.write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
    partial.replace(settings.state / name)

"""Backups, as the package in docker/backup writes them, and the service that takes them in a prod tier."""

import hashlib
import importlib
import json
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e.checkout import SOURCE
from e2e.stack import Stack

PARTS = {"globals.sql": b"-- roles", "database.dump": b"PGDMP", "media.tar": b"\0" * 512}


def package(module: str) -> Any:
    """A module of the package, as the image has it."""
    sys.path.insert(0, str(SOURCE / "docker"))
    try:
        return importlib.import_module(f"backup.{module}")
    finally:
        sys.path.remove(str(SOURCE / "docker"))


def settings(directory: Path, **environment: str) -> Any:
    """Of a service whose volume is the directory."""
    found = package("settings").Settings.from_environment(environment)
    return replace(found, backups=directory, media=directory.parent, drill=directory.parent)


def write_backup(directory: Path, taken: datetime, kind: str = "scheduled", **changes: Any) -> Path:
    """A backup of that moment, with few bytes and a true manifest."""
    manifest = package("manifest")
    place = directory / f"{taken:%Y%m%dT%H%M%SZ}"
    place.mkdir()
    for name, data in PARTS.items():
        (place / name).write_bytes(data)
    files = {name: manifest.File(len(data), hashlib.sha256(data).hexdigest()) for name, data in PARTS.items()}
    found = manifest.Manifest(place.name, kind, taken, taken, "17.0", "exhibition", 8_000_000, {}, files, **changes)
    (place / manifest.FILE).write_text(found.as_text())
    return place


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith("."))


class Service:
    """The backup service of a tier that runs."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def run(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        """A command of its own, as a person gives it; with other settings than the service where they are given."""
        given = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        command = ["exec", "-T", *given, "backup", "python3", "-m", "backup", *arguments]
        return self.stack.compose(*command, fails=fails)

    def shell(self, line: str, fails: bool = False) -> str:
        return self.stack.within("backup", "sh", "-c", line, fails=fails)

    def names(self) -> list[str]:
        return self.shell("ls /backups").split()

    def left(self) -> list[str]:
        """What is half-written or half-removed."""
        return self.shell("find /backups -name '*.partial*'").split()

    def manifest(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.shell(f"cat /backups/{name}/manifest.json"))
        return found

    def sql(self, statement: str) -> str:
        command = ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-U", "exhibition", "-c", statement]
        return self.stack.within("db", *command).strip()

    def log(self) -> list[dict[str, Any]]:
        """The lines of its log; each of them is JSON."""
        return [
            json.loads(line) for line in self.stack.run("docker", "logs", self.stack.container("backup")).splitlines()
        ]

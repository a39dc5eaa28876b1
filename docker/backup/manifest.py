"""The manifest of a backup, unencrypted: enough to verify a restore, and no personal data."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from backup.database import Contents, Table
from backup.errors import BackupError

FORMAT = 2
FILE = "manifest.json"
DATABASE, MEDIA = PARTS = ("database.dump", "media.tar")
ENCRYPTED = ".age"
# Prefix of directories that are being written or removed.
PARTIAL = ".partial-"
NAME, NAME_FORMAT = re.compile(r"\d{8}T\d{6}Z"), "%Y%m%dT%H%M%SZ"
SCHEDULED, MANUAL, SAFETY, MOMENT = KINDS = ("scheduled", "manual", "safety", "moment")


@dataclass(frozen=True)
class File:
    size: int
    # Of what is stored, encrypted or not.
    sha256: str


@dataclass(frozen=True)
class Manifest:
    name: str
    kind: str
    started: datetime
    finished: datetime
    server_version: str
    database: str
    # Bytes on the server's disk; a restore needs as many again.
    database_size: int
    # The last migration of each app.
    migrations: dict[str, str]
    files: dict[str, File]
    encrypted_to: tuple[str, ...] = ()
    contents: Contents = field(default_factory=Contents)
    # SHA-256 by path.
    media: dict[str, str] = field(default_factory=dict)
    # The point in time that the database was recovered to, if it was recovered.
    moment: datetime | None = None

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files.values())

    def as_text(self) -> str:
        facts = {"format": FORMAT, **asdict(self)} | asdict(self.contents)
        del facts["contents"]
        facts |= {name: value.isoformat() for name, value in facts.items() if isinstance(value, datetime)}
        return json.dumps(facts | {"sha256": digest(facts)}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_text(cls, text: str) -> "Manifest":
        """Parse a manifest; raise ValueError if it was changed or is incomplete."""
        try:
            facts = json.loads(text)
            if facts.pop("sha256") != digest(facts):
                raise ValueError("its SHA-256 does not match")
            if facts.pop("format") != FORMAT:
                raise ValueError("its format is unknown to this version")
            return cls(**decode(facts))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"incomplete: {error}") from error


def decode(facts: dict[str, Any]) -> dict[str, Any]:
    tables = {name: Table(**table) for name, table in facts.pop("tables").items()}
    return facts | {
        "started": datetime.fromisoformat(facts["started"]),
        "finished": datetime.fromisoformat(facts["finished"]),
        "moment": datetime.fromisoformat(facts["moment"]) if facts.get("moment") else None,
        "files": {name: File(**file) for name, file in facts["files"].items()},
        "encrypted_to": tuple(facts["encrypted_to"]),
        "contents": Contents(tables, facts.pop("sequences")),
    }


def digest(facts: dict[str, Any]) -> str:
    """The SHA-256 of the canonical form, which does not depend on the layout of the file."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def read(directory: Path) -> Manifest:
    """Read the manifest of the backup in this directory."""
    try:
        return Manifest.from_text((directory / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        missing = f"{FILE} is missing" if directory.exists() else "there is no such backup"
        raise BackupError(f"{directory.name}: {missing}") from error
    except (OSError, ValueError) as error:
        raise BackupError(f"{directory.name}: {FILE} cannot be trusted: {error}") from error


def names(backups: Path) -> list[str]:
    """The names of all backups, oldest first."""
    return sorted(entry.name for entry in backups.iterdir() if NAME.fullmatch(entry.name) and entry.is_dir())

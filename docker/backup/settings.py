"""The settings of the service, from the environment; raises BackupError with one line for an invalid value."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backup.errors import BackupError
from backup.schedule import Schedule

RECIPIENT = re.compile(r"age1[a-z0-9]{58}|age1[a-z0-9]+1[a-z0-9]+|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( \S+)?")
REMOTE = re.compile(r"[A-Za-z0-9_.-]+(,[^:]*)?:.*")
URL = re.compile(r"https?://[^\s/]+\S*")


@dataclass(frozen=True)
class Settings:
    schedule: Schedule
    recipients: tuple[str, ...] = ()
    # Where off-site copies go, as an rclone path; blank for none.
    remote: str = ""
    failure_url: str = ""
    # How many days back point-in-time recovery reaches.
    pitr_days: int = 7
    backups: Path = Path("/backups")
    media: Path = Path("/media")
    wal: Path = Path("/wal")
    scratch: Path = Path("/drill")
    metrics: Path = Path("/metrics")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        def value(name: str, pattern: re.Pattern[str], wanted: str, default: str = "") -> str:
            found = environment.get(name, "").strip() or default
            check(name, found, pattern, wanted)
            return found

        try:
            schedule = Schedule.parse(environment.get("BACKUP_SCHEDULE", "").strip() or "02:30 UTC")
        except ValueError as error:
            raise BackupError(f"BACKUP_SCHEDULE: {error}") from error
        return cls(
            schedule,
            recipients(environment.get("BACKUP_AGE_RECIPIENTS", "")),
            value("BACKUP_REMOTE", REMOTE, "remote:path, as rclone names it"),
            value("BACKUP_FAILURE_URL", URL, "an address with http:// or https://"),
            int(value("PITR_DAYS", re.compile("[1-9][0-9]{0,3}"), "a number of days from 1 to 9999", "7")),
        )

    @property
    def state(self) -> Path:
        """State files beside the backups; none is needed for a restore."""
        return self.backups / ".state"


def recipients(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for recipient in found:
        if recipient.startswith("AGE-SECRET-KEY-"):
            raise BackupError("BACKUP_AGE_RECIPIENTS contains a private key; use the public one, age1…")
        check("BACKUP_AGE_RECIPIENTS", recipient, RECIPIENT, "a public key of age, such as age1…")
    return found


def check(name: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
    if value and not pattern.fullmatch(value):
        raise BackupError(f"{name}: {value!r} is not {wanted}")

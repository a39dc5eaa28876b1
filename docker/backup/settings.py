"""The settings of the service, from the environment; one that cannot be meant is refused in one line."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backup.errors import FailedError
from backup.schedule import Schedule

RECIPIENT = re.compile(r"age1[a-z0-9]{58}|age1[a-z0-9]+1[a-z0-9]+|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( \S+)?")
REMOTE = re.compile(r"[A-Za-z0-9_.-]+(,[^:]*)?:.*")
URL = re.compile(r"https?://[^\s/]+\S*")


@dataclass(frozen=True)
class Settings:
    schedule: Schedule
    recipients: tuple[str, ...] = ()
    # Where copies go, as rclone names it; blank for nowhere.
    remote: str = ""
    failure_url: str = ""
    # Moments of so many days can be recovered.
    pitr_days: int = 7
    backups: Path = Path("/backups")
    media: Path = Path("/media")
    wal: Path = Path("/wal")
    scratch: Path = Path("/drill")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        def value(name: str, pattern: re.Pattern[str], wanted: str, default: str = "") -> str:
            found = environment.get(name, "").strip() or default
            check(name, found, pattern, wanted)
            return found

        try:
            schedule = Schedule.parse(environment.get("BACKUP_SCHEDULE", "").strip() or "02:30 UTC")
        except ValueError as error:
            raise FailedError(f"BACKUP_SCHEDULE: {error}") from error
        return cls(
            schedule,
            recipients(environment.get("BACKUP_AGE_RECIPIENTS", "")),
            value("BACKUP_REMOTE", REMOTE, "remote:path, as rclone names it"),
            value("BACKUP_FAILURE_URL", URL, "an address with http:// or https://"),
            int(value("PITR_DAYS", re.compile("[1-9][0-9]{0,3}"), "a number of days from 1 to 9999", "7")),
        )

    @property
    def state(self) -> Path:
        """Notes beside the backups, of which none is needed to restore one."""
        return self.backups / ".state"


def recipients(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for recipient in found:
        if recipient.startswith("AGE-SECRET-KEY-"):
            raise FailedError("BACKUP_AGE_RECIPIENTS has a private key in it; put the public one, age1…, instead")
        check("BACKUP_AGE_RECIPIENTS", recipient, RECIPIENT, "a public key of age, such as age1…")
    return found


def check(name: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
    if value and not pattern.fullmatch(value):
        raise FailedError(f"{name}: {value!r} is not {wanted}")

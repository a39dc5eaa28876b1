"""What the environment asks for, refused in one line where it cannot be meant."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backup.schedule import Schedule

DEFAULT_SCHEDULE = "02:30 UTC"
RECIPIENT = re.compile(r"age1[a-z0-9]{58}|age1[a-z0-9]+1[a-z0-9]+|ssh-(ed25519|rsa) [A-Za-z0-9+/=]+( \S+)?")
REMOTE = re.compile(r"[A-Za-z0-9_.-]+(,[^:]*)?:.*")
URL = re.compile(r"https?://[^\s/]+\S*")


class FailedError(Exception):
    """Why it was not done, in one line for the person who reads it."""


@dataclass(frozen=True)
class Settings:
    schedule: Schedule
    recipients: tuple[str, ...] = ()
    # Where copies go, as rclone names it; blank for nowhere.
    remote: str = ""
    failure_url: str = ""
    wal_archive: bool = False
    wal_archive_days: int = 7
    backups: Path = Path("/backups")
    media: Path = Path("/media")
    wal: Path = Path("/wal")
    drill: Path = Path("/drill")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        def asked(name: str) -> str:
            return environment.get(name, "").strip()

        recipients = tuple(part.strip() for part in asked("BACKUP_AGE_RECIPIENTS").split(",") if part.strip())
        for recipient in recipients:
            if recipient.startswith("AGE-SECRET-KEY-"):
                raise FailedError("BACKUP_AGE_RECIPIENTS has a private key in it; put the public one, age1…, instead")
            check("BACKUP_AGE_RECIPIENTS", recipient, RECIPIENT, "a public key of age, such as age1…")
        check("BACKUP_REMOTE", asked("BACKUP_REMOTE"), REMOTE, "remote:path, as rclone names it")
        check("BACKUP_FAILURE_URL", asked("BACKUP_FAILURE_URL"), URL, "an address with http:// or https://")
        try:
            schedule = Schedule.parse(asked("BACKUP_SCHEDULE") or DEFAULT_SCHEDULE)
        except ValueError as error:
            raise FailedError(f"BACKUP_SCHEDULE: {error}") from error
        check("WAL_ARCHIVE", asked("WAL_ARCHIVE"), re.compile("[01]"), "1 for on or 0 for off")
        days = asked("WAL_ARCHIVE_DAYS") or "7"
        check("WAL_ARCHIVE_DAYS", days, re.compile("[1-9][0-9]{0,3}"), "a number of days from 1 to 9999")
        archive = asked("WAL_ARCHIVE") == "1", int(days)
        return cls(schedule, recipients, asked("BACKUP_REMOTE"), asked("BACKUP_FAILURE_URL"), *archive)

    @property
    def state(self) -> Path:
        """Notes beside the backups, of which none is needed to restore one."""
        return self.backups / ".state"


def check(name: str, value: str, pattern: re.Pattern[str], wanted: str) -> None:
    if value and not pattern.fullmatch(value):
        raise FailedError(f"{name}: {value!r} is not {wanted}")

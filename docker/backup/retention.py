"""Retention: keeps the newest backup of each of the last 7 days, 4 weeks and 6 months that have one."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from backup import catalogue
from backup.manifest import PARTIAL, SCHEDULED
from backup.settings import Settings

DAILY, WEEKLY, MONTHLY = 7, 4, 6
# How long unscheduled and damaged backups are kept.
OTHERS = timedelta(days=7)
PERIODS: tuple[tuple[int, Callable[[datetime], Any]], ...] = (
    (DAILY, lambda local: local.date()),
    (WEEKLY, lambda local: local.isocalendar()[:2]),
    (MONTHLY, lambda local: (local.year, local.month)),
)


@dataclass(frozen=True)
class Candidate:
    name: str
    kind: str
    is_intact: bool = True

    @property
    def taken(self) -> datetime:
        return catalogue.parse_name(self.name)

    @property
    def is_counted(self) -> bool:
        return self.is_intact and self.kind == SCHEDULED


def select_kept(entries: Iterable[Candidate], now: datetime, zone: tzinfo) -> set[str]:
    """The names to keep. Periods without a backup are not counted, so that an outage deletes none."""
    newest_first = sorted(entries, key=lambda entry: entry.name, reverse=True)
    names = {entry.name for entry in newest_first if not entry.is_counted and now - entry.taken < OTHERS}
    names |= {entry.name for entry in newest_first if entry.is_intact and entry == find_newest_intact(newest_first)}
    for count, period in PERIODS:
        firsts: dict[Any, str] = {}
        for entry in newest_first:
            if entry.is_counted:
                firsts.setdefault(period(entry.taken.astimezone(zone)), entry.name)
        names |= set(list(firsts.values())[:count])
    return names


def find_newest_intact(newest_first: list[Candidate]) -> Candidate | None:
    return next((entry for entry in newest_first if entry.is_intact), None)


def prune(settings: Settings, now: datetime) -> list[str]:
    """Delete backups here that are no longer kept, and return their names. Call it only after a good backup."""
    found = [Candidate(one.name, one.kind, not one.fault) for one in catalogue.backups(settings)]
    kept_names = select_kept(found, now, settings.schedule.zone)
    obsolete = [entry.name for entry in found if entry.name not in kept_names]
    for name in obsolete:
        # Rename it first: a half-deleted directory must not look like a backup.
        shutil.rmtree((settings.backups / name).rename(settings.backups / f"{PARTIAL}{name}"))
    return obsolete

"""How long backups are kept: the newest of each of the last 7 days, 4 weeks and 6 months that have any."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from backup import catalogue
from backup.manifest import PARTIAL, SCHEDULED
from backup.settings import Settings

DAILY, WEEKLY, MONTHLY = 7, 4, 6
# Of those that nobody scheduled, and of those that turned out damaged.
OTHERS = timedelta(days=7)
PERIODS: tuple[tuple[int, Callable[[datetime], Any]], ...] = (
    (DAILY, lambda local: local.date()),
    (WEEKLY, lambda local: local.isocalendar()[:2]),
    (MONTHLY, lambda local: (local.year, local.month)),
)


@dataclass(frozen=True)
class Entry:
    name: str
    kind: str
    is_sound: bool = True

    @property
    def taken(self) -> datetime:
        return catalogue.moment(self.name)

    @property
    def has_a_place(self) -> bool:
        return self.is_sound and self.kind == SCHEDULED


def kept(entries: Iterable[Entry], now: datetime, zone: tzinfo) -> set[str]:
    """The names that stay. Days without a backup take no place, so that time alone ends none."""
    newest_first = sorted(entries, key=lambda entry: entry.name, reverse=True)
    names = {entry.name for entry in newest_first if not entry.has_a_place and now - entry.taken < OTHERS}
    names |= {entry.name for entry in newest_first if entry.is_sound and entry == newest_sound(newest_first)}
    for count, period in PERIODS:
        firsts: dict[Any, str] = {}
        for entry in newest_first:
            if entry.has_a_place:
                firsts.setdefault(period(entry.taken.astimezone(zone)), entry.name)
        names |= set(list(firsts.values())[:count])
    return names


def newest_sound(newest_first: list[Entry]) -> Entry | None:
    return next((entry for entry in newest_first if entry.is_sound), None)


def prune(settings: Settings, now: datetime) -> list[str]:
    """Remove those here that are no longer kept; to be called after a good backup, never otherwise."""
    found = [Entry(one.name, one.kind, not one.fault) for one in catalogue.backups(settings)]
    staying = kept(found, now, settings.schedule.zone)
    going = [entry.name for entry in found if entry.name not in staying]
    for name in going:
        # Without its name first: what is half removed must not look like a backup.
        shutil.rmtree((settings.backups / name).rename(settings.backups / f"{PARTIAL}{name}"))
    return going

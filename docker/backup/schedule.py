"""Times of the day in a time zone: "02:30 UTC", or "06:00,18:00 Europe/Berlin"."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Schedule:
    times: tuple[time, ...]
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> "Schedule":
        """Parse a schedule; raise ValueError with the reason."""
        *times, zone = text.replace(",", " ").split() or [""]
        if not times or TIME.fullmatch(zone):
            raise ValueError(f"{text!r} is not a time and a time zone, such as 02:30 UTC")
        for wanted in times:
            if not TIME.fullmatch(wanted):
                raise ValueError(f"{wanted!r} is not a time of the day, such as 02:30")
        return cls(tuple(sorted({time.fromisoformat(wanted) for wanted in times})), find_zone(zone))

    def last(self, now: datetime) -> datetime:
        """The latest moment that is not after `now`, in UTC."""
        return max(moment for moment in self._around(now) if moment <= now)

    def next(self, now: datetime) -> datetime:
        """The earliest moment after `now`, in UTC."""
        return min(moment for moment in self._around(now) if moment > now)

    def _around(self, now: datetime) -> list[datetime]:
        today = now.astimezone(self.zone).date()
        days = [today + timedelta(days=number) for number in (-1, 0, 1)]
        # A local time skipped by a clock change is shifted by the change; one that occurs twice counts once.
        return [datetime.combine(day, at, self.zone).astimezone(UTC) for day in days for at in self.times]

    def __str__(self) -> str:
        return f"{','.join(f'{at:%H:%M}' for at in self.times)} {self.zone.key}"


def find_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:  # OSError: the name of a directory
        raise ValueError(f"{name!r} is not a time zone, such as UTC or Europe/Berlin") from error

"""How the cache does, counted by each process for itself."""

import logging
import threading
import time
from collections import Counter
from typing import Any

logger = logging.getLogger(__name__)

EVERY = 60  # seconds between two lines of the log, while there is something to tell


class Tally:
    """Counts `hits`, `misses`, `bypasses` (computed without the cache) and `waits` (for another's computation)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._logged: Counter[str] = Counter()
        self._log_at = time.monotonic() + EVERY

    def add(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1
            due = time.monotonic() >= self._log_at
            if due:
                self._log_at = time.monotonic() + EVERY
                new = self._counts - self._logged
                self._logged = self._counts.copy()
        if due:
            told = described(new)
            text = "Of the answers %(hit_rate)s came from the cache; %(bypasses)s were made without it"
            logger.info(text, told, extra={"cache": told})

    def described(self) -> dict[str, Any]:
        with self._lock:
            return described(self._counts)


def described(counts: Counter[str]) -> dict[str, Any]:
    asked = counts["hits"] + counts["misses"] + counts["bypasses"]
    named = {name: counts[name] for name in ("hits", "misses", "bypasses", "waits")}
    return named | {"hit_rate": round(counts["hits"] / asked, 3) if asked else None}


TALLY = Tally()

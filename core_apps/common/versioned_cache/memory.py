"""What this process keeps of Redis: the version that a request has seen, and bytes that were asked for a moment ago."""

import threading
import time
from contextvars import ContextVar
from typing import Any

KEPT = 5.0  # seconds; short, because it comes on top of the time in Redis
ROOM = 4_000_000  # bytes

# None outside of a request, where nobody would say when it has become old; "" until it was asked for.
_seen: ContextVar[str | None] = ContextVar("version", default=None)


def begin_request(**_: Any) -> None:
    _seen.set("")


def end_request(**_: Any) -> None:
    _seen.set(None)


def seen_version() -> str:
    return _seen.get() or ""


def see_version(version: str) -> None:
    """It holds for the rest of the request, which began when it was right."""
    if _seen.get() is not None:
        _seen.set(version)


class Memory:
    """Bytes by key, each under its version; the oldest make room."""

    def __init__(self, room: int) -> None:
        self._lock = threading.Lock()
        self._room = self._left = room
        self._kept: dict[str, tuple[str, float, bytes]] = {}

    def get(self, version: str, key: str) -> bytes | None:
        kept = self._kept.get(key)
        return kept[2] if kept and kept[0] == version and kept[1] > time.monotonic() else None

    def keep(self, version: str, key: str, body: bytes) -> None:
        if len(body) > self._room:
            return
        with self._lock:
            self._drop(key)
            while self._left < len(body):
                self._drop(next(iter(self._kept)))
            self._kept[key] = version, time.monotonic() + KEPT, body
            self._left -= len(body)

    def _drop(self, key: str) -> None:
        if old := self._kept.pop(key, None):
            self._left += len(old[2])


MEMORY = Memory(ROOM)

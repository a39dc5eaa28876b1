"""Stops asking a server that does not answer."""

import logging
import threading
import time

logger = logging.getLogger(__name__)


class ServerAway(Exception):
    """Refused without asking, because the server did not answer a moment ago."""


class Breaker:
    """Open after a failure; lets one question through after each pause, until one is answered.

    `pause` and `trial` are seconds; nobody else may ask while that one question takes no longer than `trial`.
    With the `name` of the server, the log says when it opens and closes.
    """

    def __init__(self, pause: float, trial: float, name: str = "") -> None:
        self._pause = pause
        self._trial = trial
        self._name = name
        self._lock = threading.Lock()
        self._open_until = 0.0  # on time.monotonic's clock; 0 while closed
        self.changed_at = time.time()

    @property
    def is_open(self) -> bool:
        return self._open_until > 0

    def check(self) -> None:
        """Raises ServerAway while open, except for the one caller that is to try."""
        if not self._open_until:
            return
        with self._lock:
            now = time.monotonic()
            if self._open_until > now:
                raise ServerAway
            if self._open_until:
                self._open_until = now + self._trial

    def failed(self) -> None:
        with self._lock:
            opens = not self._open_until
            self._open_until = time.monotonic() + self._pause
            self.changed_at = time.time() if opens else self.changed_at
        if opens and self._name:
            logger.warning("%s does not answer; it is tried again every %s s", self._name, self._pause)

    def answered(self) -> None:
        if not self._open_until:
            return
        with self._lock:
            closes = bool(self._open_until)
            self._open_until = 0.0
            seconds, self.changed_at = time.time() - self.changed_at, time.time()
        if closes and self._name:
            logger.info("%s answers again, after %.1f s", self._name, seconds)

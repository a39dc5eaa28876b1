"""Stops asking a server that does not answer."""

import threading
import time


class ServerAway(Exception):
    """Refused without asking, because the server did not answer a moment ago."""


class Breaker:
    """Open after a failure; lets one question through after each pause, until one is answered.

    `pause` and `trial` are seconds; nobody else may ask while that one question takes no longer than `trial`.
    """

    def __init__(self, pause: float, trial: float) -> None:
        self._pause = pause
        self._trial = trial
        self._lock = threading.Lock()
        self._open_until = 0.0  # on time.monotonic's clock; 0 while closed

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
        self._open_until = time.monotonic() + self._pause

    def answered(self) -> None:
        self._open_until = 0.0

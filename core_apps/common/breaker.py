"""Stops asking a server that does not answer."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress

logger = logging.getLogger(__name__)


class ServerAway(Exception):
    """Refused without asking, because the server did not answer a moment ago."""


class Breaker:
    """Open after a failure, until a question is answered.

    With a `probe` it is asked in a thread of its own after each `pause`, in seconds, and nobody else waits for the
    server meanwhile; it raises where there is no answer. Without one, a question of those that come is let through
    after each pause; nobody else may ask while it takes no longer than `trial` seconds.
    With the `name` of the server, the log says when the breaker opens and closes.
    """

    def __init__(self, pause: float, trial: float, name: str = "", probe: Callable[[], object] | None = None) -> None:
        self._pause = pause
        self._trial = trial
        self._name = name
        self._probe = probe
        self._lock = threading.Lock()
        self._prober = threading.Thread()
        self._open_until = 0.0  # on time.monotonic's clock; 0 while closed
        self.changed_at = time.time()

    @property
    def is_open(self) -> bool:
        return self._open_until > 0

    def check(self) -> None:
        """Raises ServerAway while open, except for a caller that is to try."""
        if not self._open_until:
            return
        with self._lock:
            now = time.monotonic()
            if self._open_until > now or (self._probe and self._open_until):
                self._start_probing()
                raise ServerAway
            if self._open_until:
                self._open_until = now + self._trial

    def failed(self) -> None:
        with self._lock:
            opens = not self._open_until
            self._open_until = time.monotonic() + self._pause
            self.changed_at = time.time() if opens else self.changed_at
            self._start_probing()
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

    def _start_probing(self) -> None:
        """Where no thread does it: also in a process that was forked from one with an open breaker."""
        if self._probe and not self._prober.is_alive():
            self._prober = threading.Thread(target=self._ask, args=(self._probe,), daemon=True)
            self._prober.start()

    def _ask(self, probe: Callable[[], object]) -> None:
        while self._open_until:
            time.sleep(self._pause)
            with suppress(Exception):
                probe()
                self.answered()

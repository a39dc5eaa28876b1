"""Requests to stop, by Ctrl-C, by SIGTERM, or because the terminal closes. Standard library only: it loads first."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOP_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

requested = threading.Event()
"""For loops to look at: Python drops an exception that a signal raises within a destructor."""


class StopRequest(BaseException):
    """Not an Exception, so that nothing on its way takes it for a fault."""


def accept_stop_requests() -> None:
    sys.unraisablehook = report_unless_stopping
    for request in STOP_REQUESTS:
        signal.signal(request, stop)


def report_unless_stopping(unraisable: "sys.UnraisableHookArgs") -> None:
    """Python reports an exception that it drops; of a request to stop, `requested` has taken note."""
    if unraisable.exc_type is not StopRequest:
        sys.__unraisablehook__(unraisable)


def stop(number: int, frame: FrameType | None) -> None:
    # Stopping is bounded in time, and a second Ctrl-C in it could only leave processes behind.
    for request in STOP_REQUESTS:
        signal.signal(request, signal.SIG_IGN)
    requested.set()
    with suppress(OSError):  # after SIGHUP there is no terminal
        print("\nStopping.", flush=True)
    raise StopRequest


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Hold back requests to stop, so that none comes between a server's fork and its being findable."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)

    handlers = {request: signal.signal(request, remember) for request in STOP_REQUESTS}
    try:
        yield
    finally:
        for request, handler in handlers.items():
            signal.signal(request, handler)
        for number in received[:1]:
            signal.raise_signal(number)

"""`make run`: serves the site until it is stopped."""

import signal
import sys
from contextlib import suppress
from threading import Event

stop_requested = Event()


def request_stop(number: int, frame: object) -> None:
    if not stop_requested.is_set():
        with suppress(OSError):  # after SIGHUP there is no terminal
            print("\nStopping.", flush=True)
    stop_requested.set()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, request_stop)
    # Imported after the handlers are set, so that Ctrl-C works while they load.
    from config.local.serve import serve
    from config.local.servers import RunError

    try:
        serve(stop_requested)
    except RunError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""`make run`: serves until somebody stops it."""

import sys
from contextlib import suppress

from config.local.stopping import StopRequest, accept_stop_requests


def main() -> None:
    accept_stop_requests()
    # Not before: Ctrl-C while these load has to be answered as well.
    from config.local.serve import serve
    from config.local.servers import RunError

    try:
        serve()
    except RunError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    with suppress(StopRequest):
        main()

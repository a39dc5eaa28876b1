"""Runs a command with the engines up and the local environment set.

    python -m config.local.within [--scratch] COMMAND…

With --scratch the engines are empty, the command's own, and gone when it ends.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from config.local.defaults import LOCAL, given, local_environment, set_defaults
from config.local.engines import SERVERS, engines, scratch_directory
from config.local.servers import RunError

received: list[int] = []


def main(arguments: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: received.append(number))
    with ExitStack() as stack:
        home = LOCAL / "engines"
        if arguments[0] == "--scratch":
            home = stack.enter_context(scratch_directory(LOCAL / "scratch"))
        urls = stack.enter_context(engines(home, given=[name for name in SERVERS if given(name)]))
        set_defaults(local_environment() | urls)
        return 128 + received[0] if received else run([word for word in arguments if word != "--scratch"])


def run(command: Sequence[str]) -> int:
    """Return the exit code, as a shell would number it; requests to stop are for the command to answer."""
    process = subprocess.Popen(command)
    while process.poll() is None:
        while received:
            # A terminal has sent Ctrl-C to the command already.
            if (number := received.pop()) != signal.SIGINT:
                process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RunError, FileNotFoundError) as error:
        sys.exit(str(error))

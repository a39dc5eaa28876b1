"""Runs a command with the embedded engines and the local settings.

    python -m config.local.within [--scratch] COMMAND…

With --scratch the engines are new, and are removed when the command ends.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from config.local.defaults import LOCAL, build_local_environment, is_set, set_defaults
from config.local.engines import SERVERS, engines, scratch_directory
from config.local.servers import RunError

received_signals: list[int] = []


def main(arguments: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: received_signals.append(number))
    with ExitStack() as stack:
        home = LOCAL / "engines"
        if arguments[0] == "--scratch":
            home = stack.enter_context(scratch_directory(LOCAL / "scratch"))
        urls = stack.enter_context(engines(home, external=[name for name in SERVERS if is_set(name)]))
        set_defaults(build_local_environment() | urls)
        return (
            128 + received_signals[0] if received_signals else run([word for word in arguments if word != "--scratch"])
        )


def run(command: Sequence[str]) -> int:
    """Pass signals on to the command and return its exit code, numbered as in a shell."""
    process = subprocess.Popen(command)
    while process.poll() is None:
        while received_signals:
            # The terminal has already sent Ctrl-C to the command.
            if (number := received_signals.pop()) != signal.SIGINT:
                process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RunError, FileNotFoundError) as error:
        sys.exit(str(error))

"""Runs a command with the engines up and the local environment set.

    python -m config.local.within [--scratch] COMMAND…

With --scratch the engines are empty, the command's own, and gone when it ends.
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType

from config.local.defaults import LOCAL, given, local_environment, set_defaults
from config.local.engines import SERVERS, engines
from config.local.scratch import scratch_directory
from config.local.servers import RunError
from config.local.stopping import STOP_REQUESTS, signals_deferred


class Foreground:
    """The command that has the terminal; requests to stop are for it to answer."""

    process: subprocess.Popen[bytes] | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.process is None:
            raise SystemExit(128 + number)
        # A terminal has sent Ctrl-C to the command already.
        if number != signal.SIGINT:
            self.process.send_signal(number)

    def run(self, command: Sequence[str]) -> int:
        """Return the exit code, as a shell would number it."""
        with signals_deferred():
            self.process = subprocess.Popen(command)
        code = self.process.wait()
        return code if code >= 0 else 128 - code


def main(arguments: list[str]) -> int:
    foreground = Foreground()
    for number in STOP_REQUESTS:
        signal.signal(number, foreground.receive)
    with ExitStack() as stack:
        home = LOCAL / "engines"
        if arguments[0] == "--scratch":
            home = stack.enter_context(scratch_directory(LOCAL / "scratch"))
        wanted_not = [name for name in SERVERS if given(name)]
        running = stack.enter_context(engines(home, given=wanted_not))
        set_defaults(local_environment() | running.urls)
        return foreground.run([argument for argument in arguments if argument != "--scratch"])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RunError, FileNotFoundError) as error:
        sys.exit(str(error))

"""A server process that belongs to a directory: found, adopted, started and stopped."""

import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

START_SECONDS = 10
START_ATTEMPTS = 3
STOP_SECONDS = 5


class RunError(Exception):
    """Its text is for the person at the terminal: show it without a traceback."""


class NotReady(Exception):
    """The server does not answer yet, or not to our password."""


class Server(ABC):
    """One server with its data, log and password in `home`.

    Whether it is on is read from the process table, not from a pid file: a pid file survives a crash, can be
    half-written, and its number may by now belong to somebody else's process. The server's command line names
    its directory and its port, so that any later process can adopt it.
    """

    name: str
    """Of the executable, and so of the process."""

    marker: Path
    """The argument by which this process is told from others of its name."""

    port_option: str

    stop_signals: Sequence[signal.Signals]
    """From polite to final; each is given time before the next."""

    def __init__(self, home: Path, password: str = "", *, durable: bool = True) -> None:
        self.home = home
        self.password = password
        self.durable = durable
        self.log = home / f"{self.name}.log"
        self.credentials: dict[str, Any] = {}  # whom the process runs as, where not as ourselves

    @abstractmethod
    def url(self, port: int) -> str: ...

    @abstractmethod
    def prepare(self) -> None:
        """Bring the directory into a state from which the server starts. It is not running now."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """The command line, with `marker` and with the port after `port_option`."""

    @abstractmethod
    def check(self, port: int) -> None:
        """Raise NotReady unless the server answers and accepts the password."""

    def find(self) -> psutil.Process | None:
        found = [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] == self.name and str(self.marker) in (process.info["cmdline"] or ())
        ]
        # A child forked this instant still shows its parent's command line; the parent is older.
        return min(found, key=lambda process: process.create_time(), default=None)

    def start(self) -> tuple[psutil.Process, str]:
        """Return the running server, adopted or else started, and its URL."""
        if (process := self.find()) and self.wait(process, port := self.port_of(process)):
            return process, self.url(port)
        self.prepare()
        # Somebody may take the port between our choice and the server's bind: if it ends, try another.
        for _ in range(START_ATTEMPTS):
            process = self.launch(port := free_port())
            if self.wait(process, port):
                return process, self.url(port)
        raise self.failure("ended while starting")

    def port_of(self, process: psutil.Process) -> int:
        arguments = process.cmdline()
        return int(arguments[arguments.index(self.port_option) + 1])

    def launch(self, port: int) -> psutil.Process:
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                self.command(port),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A terminal's Ctrl-C is for the supervisor, which stops the servers last.
                start_new_session=True,
                **self.credentials,
            )
        process = psutil.Process(child.pid)
        child.returncode = 0  # disowned: it may outlive us, and Python would warn that it still runs
        return process

    def wait(self, process: psutil.Process, port: int) -> bool:
        """Wait until the server answers; False when it ended."""
        deadline = time.monotonic() + START_SECONDS
        while is_alive(process):
            try:
                self.check(port)
            except NotReady as reason:
                if time.monotonic() > deadline:
                    raise self.failure(f"did not answer within {START_SECONDS} s ({reason})") from None
                time.sleep(0.02)
            else:
                return True
        return False

    def stop(self) -> None:
        if process := self.find():
            end(process, self.stop_signals)

    def failure(self, what: str) -> RunError:
        return RunError(f"{self.name} {what}. The end of {self.log}:\n{tail(self.log)}")


def end(process: psutil.Process, signals: Iterable[signal.Signals]) -> bool:
    """Send the signals, each given time before the next, and return whether the process ended."""
    for number in signals:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        deadline = time.monotonic() + STOP_SECONDS
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not is_alive(process):
            with suppress(psutil.Error):
                process.wait(0)  # else a child of ours stays in the process table
            return True
    return False


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that ended stays a zombie until its parent, maybe a busy one, asks for it."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(log: Path, lines: int = 10) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

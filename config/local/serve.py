"""Engines, migrations, first administrator, demo and web server, until somebody stops it."""

import fcntl
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event

import psutil

from config.local.defaults import CHECKOUT, LOCAL, given, local_environment, set_defaults
from config.local.engines import SERVERS, engines
from config.local.servers import RunError

PID_FILE = LOCAL / "web.pid"
STOP_SECONDS = 5
# `make` that leads a session, as in `ssh -t host make run`, keeps the signal of a hang-up to itself: we look.
AT_TERMINAL = os.isatty(0)


def serve(stop_requested: Event) -> None:
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError("Another `make run` is at work in this checkout.") from None
        stop_orphan()
        port = usable_port(os.environ.get("PORT") or "8000")
        with engines(LOCAL / "engines", given=[name for name in SERVERS if given(name)]) as urls:
            set_defaults(local_environment() | urls)
            with child("config.local.prepare") as preparation:
                if not is_over(preparation, stop_requested):
                    return
            if preparation.returncode:
                sys.exit(1)  # it has said why
            serve_web(port, stop_requested)


def serve_web(port: int, stop_requested: Event) -> None:
    gunicorn = ["gunicorn", "config.wsgi:application", "--config", "config/gunicorn.py"]
    with child(*gunicorn, "--bind", f"127.0.0.1:{port}", "--pid", str(PID_FILE)) as web:
        while not is_served(port):
            if web.poll() is not None or stop_requested.wait(0.05):
                break
        else:
            print(f"Exhibition CRM is at http://127.0.0.1:{port}/ (Ctrl-C stops it)", flush=True)
        if is_over(web, stop_requested):
            raise RunError("The web server ended by itself; its last lines are above.")


@contextmanager
def child(*arguments: str) -> Iterator[psutil.Popen]:
    # In a session of its own, so that a terminal's Ctrl-C does not reach it past us.
    command = [sys.executable, "-m", *arguments]
    process = psutil.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        stop(process)


def is_over(process: psutil.Popen, stop_requested: Event) -> bool:
    """Wait until the process ends or somebody stops us, by a signal or by closing the terminal; whether it ended."""
    while process.poll() is None:
        if stop_requested.wait(0.1) or os.isatty(0) != AT_TERMINAL:
            return False
    return True


def stop(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def stop_orphan() -> None:
    """Stop the web server of a `make run` that was killed: it holds the port, and nobody else stops it."""
    with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
        process = psutil.Process(int(PID_FILE.read_text()))
        if str(PID_FILE) in process.cmdline():  # not another process, by now, with its number
            stop(process)


def usable_port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise RunError(f"PORT={text} is not a port: a number from 1 to 65535.")
    with socket.socket() as probe:
        # As Gunicorn does it: connections of a server that just ended may linger on the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            reason = error.strerror
            raise RunError(f"Port {text} cannot be used ({reason}). Choose another: make run PORT=8001") from None
    return int(text)


def is_served(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        try:
            connection.request("GET", "/api/v1/health/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

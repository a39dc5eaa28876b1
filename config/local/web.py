"""Gunicorn with the production configuration, as a child of `make run`."""

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from config.local.defaults import CHECKOUT, LOCAL
from config.local.servers import RunError, end, is_alive
from config.local.stopping import signals_deferred

START_SECONDS = 30
# Tells our web servers from those that somebody starts by hand in the same checkout.
MARKER = f"--name=make run in {LOCAL}"


def command(port: int) -> list[str]:
    gunicorn = [sys.executable, "-m", "gunicorn", "config.wsgi:application"]
    return [*gunicorn, "--config", "config/gunicorn.py", "--bind", f"127.0.0.1:{port}", MARKER]


@contextmanager
def web_server(port: int) -> Iterator[psutil.Popen]:
    web = None
    try:
        with signals_deferred():
            # In a session of its own, so that a terminal's Ctrl-C does not reach it past us.
            web = psutil.Popen(command(port), cwd=CHECKOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        yield web
    finally:
        if web:
            stop(web)


def stop(web: psutil.Process) -> None:
    workers = web.children() if is_alive(web) else []
    end(web, (signal.SIGTERM, signal.SIGKILL))
    for worker in workers:
        end(worker, (signal.SIGKILL,))


def stop_orphans() -> None:
    """Stop web servers of this checkout whose `make run` was killed: they hold the port, and no one stops them."""
    for process in psutil.process_iter(["cmdline"]):
        if MARKER in (process.info["cmdline"] or ()):
            with suppress(psutil.NoSuchProcess):
                parent = process.parent()
                arguments = parent.cmdline() if parent else []
                if "config.local.run" not in arguments and MARKER not in arguments:
                    stop(process)


def wait_until_served(web: psutil.Process, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_served(port):
        if not is_alive(web):
            raise RunError("The web server ended while starting; its last lines are above.")
        if time.monotonic() > deadline:
            raise RunError(f"The web server did not answer within {START_SECONDS} s.")
        time.sleep(0.05)


def is_served(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/api/v1/health/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

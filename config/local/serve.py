"""Starts the engines, prepares the database, and runs the web server and a worker until they are stopped."""

import fcntl
import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from threading import Event

import psutil

from config.local import mock
from config.local.defaults import CHECKOUT, LOCAL, build_local_environment, is_set, set_defaults
from config.local.engines import SERVERS, engines
from config.local.servers import RunError

WEB_PID, WORKER_PID, MOCK_PID = (LOCAL / f"{name}.pid" for name in ("web", "worker", "mock"))
# With the clock of periodic tasks.
WORKER = ["celery", "--quiet", "--app", "config.celery", "worker", "--pool", "solo", "--beat"]
STOP_SECONDS = 5
# `make` does not pass SIGHUP on where it leads the session (`ssh -t host make run`), so a closed terminal is polled.
AT_TERMINAL = os.isatty(0)


def serve(stop_requested: Event) -> None:
    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError("Another `make run` is running in this checkout.") from None
        stop_orphans()
        port = check_port(os.environ.get("PORT") or "8000")
        with engines(LOCAL / "engines", external=[name for name in SERVERS if is_set(name)]) as urls:
            set_defaults(build_local_environment() | urls)
            if mock_port := mock.choose_port(port):
                mock.use_mock(mock_port)
            with run_child("config.local.prepare") as preparation:
                if not wait_until_ended(preparation, stop_requested):
                    return
            if preparation.returncode:
                sys.exit(1)  # it has printed the reason
            with run_mock(mock_port, port):
                serve_web(port, stop_requested)


def serve_web(port: int, stop_requested: Event) -> None:
    gunicorn = ["gunicorn", "config.wsgi:application", "--config", "config/gunicorn.py"]
    gunicorn += ["--bind", f"127.0.0.1:{port}", "--pid", str(WEB_PID)]
    with run_child(*WORKER, "--pidfile", str(WORKER_PID)) as worker, run_child(*gunicorn) as web:
        while not is_served(port):
            if web.poll() is not None or stop_requested.wait(0.05):
                break
        else:
            print(f"Exhibition CRM is at http://127.0.0.1:{port}/ (Ctrl-C stops it)", flush=True)
        if wait_until_ended(web, stop_requested, worker):
            raise RunError("The web server or the worker ended unexpectedly; its last lines are above.")


@contextmanager
def run_mock(port: int | None, site_port: int) -> Iterator[None]:
    """Without it, the site goes on."""
    if port is None:
        yield
        return
    environment = mock.build_environment(f"http://127.0.0.1:{site_port}/whatsapp/")
    gunicorn = [*mock.GUNICORN, "--bind", f"127.0.0.1:{port}", "--pid", str(MOCK_PID)]
    with run_child(*gunicorn, environment=environment):
        print(f"What is sent by WhatsApp is at http://127.0.0.1:{port}/", flush=True)
        yield


@contextmanager
def run_child(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[psutil.Popen]:
    # In its own session, so that a terminal's Ctrl-C reaches only this process.
    command = [sys.executable, "-m", *arguments]
    process = psutil.Popen(command, cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        stop(process)


def wait_until_ended(process: psutil.Popen, stop_requested: Event, *others: psutil.Popen) -> bool:
    """Wait for one of the processes and return True, or False if a signal or the closed terminal asks to stop."""
    while all(one.poll() is None for one in (process, *others)):
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


def stop_orphans() -> None:
    """Stop what a killed `make run` has left: the web server would block the port."""
    for file in (WEB_PID, WORKER_PID, MOCK_PID):
        with suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(int(file.read_text()))
            if str(file) in process.cmdline():  # another process may have its PID by now
                stop(process)


def check_port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise RunError(f"PORT={text} is not a port; write a number from 1 to 65535.")
    with socket.socket() as probe:
        # As Gunicorn does: a server that has just ended may leave connections on the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(text)))
        except OSError as error:
            reason = error.strerror
            raise RunError(f"Port {text} cannot be used ({reason}). Choose another: make run PORT=8002") from None
    return int(text)


def is_served(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        try:
            connection.request("GET", "/api/v1/health/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

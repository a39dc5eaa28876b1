"""Engines, migrations, first administrator, demo and web server, until somebody stops it."""

import os
import socket
import time

import psutil

from config.local.defaults import LOCAL, given, local_environment, set_defaults
from config.local.engines import SERVERS, Engines, engines
from config.local.prepare import prepare
from config.local.servers import RunError, is_alive
from config.local.stopping import requested
from config.local.web import stop_orphans, wait_until_served, web_server

# `make` that leads a session, as in `ssh -t host make run`, keeps the signal of a hang-up to itself: we look.
AT_TERMINAL = os.isatty(0)


def serve() -> None:
    stop_orphans()
    port = usable_port(os.environ.get("PORT") or "8000")
    with engines(LOCAL / "engines", given=[name for name in SERVERS if given(name)]) as running:
        set_defaults(local_environment() | running.urls)
        prepare()
        with web_server(port) as web:
            wait_until_served(web, port)
            print(f"Exhibition CRM is at http://127.0.0.1:{port}/ (Ctrl-C stops it)", flush=True)
            watch(web, running)


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


def watch(web: psutil.Process, running: Engines) -> None:
    """Return when the terminal is gone; raise when the web server or an engine ends."""
    while os.isatty(0) == AT_TERMINAL and not requested.is_set():
        if dead := running.dead() + ([] if is_alive(web) else ["The web server"]):
            raise RunError(f"{dead[0]} ended by itself; stopping the rest. Logs: {LOCAL / 'engines'}")
        time.sleep(0.5)

"""A port for probes and metrics alone, which are answered while all threads of Gunicorn are busy.

The socket belongs to Gunicorn's master; the workers take turns to answer.
"""

import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from core_apps.operations.probes import LIVENESS_PATHS, READINESS_PATH

PATHS = {*LIVENESS_PATHS, READINESS_PATH}


class Handler(WSGIRequestHandler):
    timeout = 5  # seconds without a byte from the client

    def log_message(self, format: str, *args: Any) -> None:
        """Probes are not logged."""


class ProbeListener(ThreadingMixIn, WSGIServer):
    def __init__(self, host: str, port: int, site: WSGIApplication, others: dict[str, WSGIApplication]) -> None:
        """The others are applications by their path."""
        super().__init__((host, port), Handler)
        self.socket.setblocking(False)  # or a worker would wait for the connection that another accepted
        self.set_app(self.answer)
        self.applications: dict[str, WSGIApplication] = dict.fromkeys(PATHS, site) | others
        self.started = False

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if application := self.applications.get(environ["PATH_INFO"]):
            return application(environ, start_response)
        start_response("404 Not Found", [])
        return []

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.started = True

    def stop(self) -> None:
        """Accept no more connections, and answer those that were accepted."""
        if self.started:  # or shutdown() would wait forever, in a worker that fails while it starts
            self.shutdown()
            self.server_close()

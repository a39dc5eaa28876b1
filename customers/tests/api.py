"""An API client for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client

JSON = "application/json"


class Caller(Client):
    """Over HTTPS, sending JSON; logged in as a browser would be, or with a token in `headers`."""

    def generic(  # type: ignore[override]
        self, method: str, path: str, data: Any = "", content_type: str = JSON, secure: bool = True, **options: Any
    ) -> Any:
        return super().generic(method, path, data, content_type, True, **options)

    def post(self, path: str, data: Any = None, content_type: str = JSON, **options: Any) -> Any:  # type: ignore[override]
        return super().post(path, data, content_type, **options)

    def patch(self, path: str, data: Any = "", content_type: str = JSON, **options: Any) -> Any:  # type: ignore[override]
        return super().patch(path, data, content_type, **options)


def caller_of(user: Any) -> Caller:
    caller = Caller()
    caller.force_login(user)
    return caller


def errors(response: Any) -> list[tuple[str | None, str]]:
    """Which fields were refused, and why."""
    return [(error["field"], error["code"]) for error in response.json().get("errors", [])]


class Server(ThreadingMixIn, WSGIServer):
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        connections.close_all()  # this thread's own


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def run_server() -> Iterator[str]:
    """The address of a server that is asked over HTTP and takes it for HTTPS, as behind nginx."""
    application = get_wsgi_application()

    def behind_nginx(environ: Any, start_response: Any) -> Any:
        return application(environ | {"wsgi.url_scheme": "https", "HTTP_HOST": "testserver"}, start_response)

    with make_server("127.0.0.1", 0, behind_nginx, Server, QuietHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()

"""An HTTP client that shows what a server answers, without redirects, cookies or DNS."""

import functools
import http.client
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Site:
    """A name served with TLS on a port of this machine, or of another, without DNS."""

    name: str
    port: int
    # Whom the visitor trusts; without one, anybody.
    authority: str | None = None
    address: str = "127.0.0.1"

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority)
        if not self.authority:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def connection(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(self.name, context=self.context, timeout=30)
        connection._create_connection = lambda _, *options: socket.create_connection(  # type: ignore[attr-defined]
            (self.address, self.port), *options
        )
        return connection

    def certificate(self) -> x509.Certificate:
        with closing(self.connection()) as connection:
            connection.connect()
            return x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True))


def connection_to(door: int | Site) -> http.client.HTTPConnection:
    return door.connection() if isinstance(door, Site) else http.client.HTTPConnection("127.0.0.1", door, timeout=30)


def ask(
    door: int | Site, method: str, path: str, headers: dict[str, str] | None = None, body: str | bytes | None = None
) -> Answer:
    """Send one request on a new connection, without following redirects."""
    with closing(connection_to(door)) as connection:
        connection.request(method, path, body, {"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())

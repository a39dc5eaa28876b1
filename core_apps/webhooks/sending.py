"""Sends one event, signed as Standard Webhooks 1.0.0 says: https://www.standardwebhooks.com."""

import base64
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

from django.utils.encoding import iri_to_uri

from core_apps.webhooks.addresses import check_url

TIMEOUT = 15  # seconds without a byte
MAX_SECONDS = 30  # for the request and its answer; less than the lease of a task
MAX_RESPONSE = 2**16  # bytes
KEPT = 500  # characters of a response


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    retry_after: str


class PinnedConnection(http.client.HTTPConnection):
    """Connects to the address that was checked, whatever the name resolves to by now."""

    def __init__(self, url: SplitResult, address: str) -> None:
        is_tls = url.scheme == "https"
        super().__init__(url.hostname or "", url.port or (443 if is_tls else 80), timeout=TIMEOUT)
        self.address = address
        self.opened: socket.socket | None = None  # also while a body is read, when `sock` is None
        self.context = ssl.create_default_context() if is_tls else None

    def connect(self) -> None:
        self.sock = self.opened = socket.create_connection((self.address, self.port), self.timeout)
        if self.context:
            # The handshake later, so that `abort` can end it, too.
            self.sock = self.opened = tls = self.context.wrap_socket(
                self.opened, server_hostname=self.host, do_handshake_on_connect=False
            )
            tls.do_handshake()

    def abort(self) -> None:
        """End what another thread waits for. A server that sends a byte now and then never reaches TIMEOUT."""
        with suppress(OSError):
            if self.opened:
                # Not that of SSLSocket, which is not meant for two threads.
                socket.socket.shutdown(self.opened, socket.SHUT_RDWR)


def post(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    """POST the body. Redirects are not followed.

    Raises AddressError for a URL that is not allowed, and OSError or HTTPException if there is no answer.
    """
    parts, address = check_url(url)
    connection = PinnedConnection(parts, address)
    target = iri_to_uri(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
    watchdog = threading.Timer(MAX_SECONDS, connection.abort)
    watchdog.start()
    try:
        connection.request("POST", target, body, headers)
        response = connection.getresponse()
        return Answer(response.status, read_text(response), response.getheader("Retry-After", ""))
    finally:
        watchdog.cancel()
        connection.close()


def read_text(response: http.client.HTTPResponse) -> str:
    """The beginning of the body. An error in it changes nothing, as the status is known."""
    with suppress(OSError, http.client.HTTPException):
        return response.read(MAX_RESPONSE).decode(errors="replace").replace("\0", "")[:KEPT]
    return ""


def build_headers(identifier: str, timestamp: int, body: bytes, secrets: list[str]) -> dict[str, str]:
    signatures = (sign(secret, f"{identifier}.{timestamp}.".encode() + body) for secret in secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "exhibition-crm-webhooks",
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return f"v1,{base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()}"


def build_body(event: str, timestamp: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"type": event, "timestamp": timestamp, "data": data}, separators=(",", ":")).encode()

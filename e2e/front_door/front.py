"""nginx of the prod tier or Caddy in its place, and raw clients with addresses of their own."""

import base64
import json
import re
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from e2e.site import Answer, Site, ask
from e2e.stack import Stack, seconds_until

# How requests begin that only mark a moment in the logs.
MARK = "/until-now/"
# Mails are printed, so that they can be read in web's log.
SETTINGS = "EMAIL_BACKEND=django.core.mail.backends.console.EmailBackend\n"
VISITORS = """
services:
  first: &visitor
    image: exhibition-crm:${{VERSION}}
    command: [sleep, infinity]
    stop_grace_period: 1s
    healthcheck: {{test: [CMD, "true"], start_interval: 1s, start_period: 30s}}
    networks: {{frontend: {{ipv4_address: {subnet}.201}}}}
  second:
    <<: *visitor
    networks: {{frontend: {{ipv4_address: {subnet}.202}}}}
"""
# Sends the bytes so many times, each on a connection of its own; prints what came back, in base64.
SEND = """
import base64, socket, ssl, sys
for _ in range(int(sys.argv[2])):
    plain = socket.create_connection((sys.argv[3], 8443), timeout=10)
    with ssl._create_unverified_context().wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(base64.b64decode(sys.argv[1]))
        print(base64.b64encode(b"".join(iter(lambda: connection.recv(65536), b""))).decode())
"""


@dataclass
class Front:
    stack: Stack
    site: Site
    # Of each container of the network, by service.
    addresses: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return ask(self.site, "GET", path, headers)

    def post(self, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        return ask(self.site, "POST", path, headers, body)

    def converse(self, sent: bytes, name: str | None = "localhost", patience: float = 5) -> bytes:
        """Send bytes, and return the response until the server closes the connection or times out."""
        plain = socket.create_connection(("127.0.0.1", self.site.port), timeout=patience)
        with self.site.context.wrap_socket(plain, server_hostname=name) as connection:
            connection.sendall(sent)
            return read(connection)

    def send_from(self, visitor: str, sent: bytes, times: int = 1) -> list[bytes]:
        """Send bytes from a container with its own address, and return the responses."""
        options = [base64.b64encode(sent).decode(), str(times), self.stack.front]
        said = self.stack.within(visitor, "python", "-c", SEND, *options)
        return [base64.b64decode(line) for line in said.splitlines()]

    def watch(self) -> "Watch":
        return Watch(self)

    def openssl(self, *options: str, fails: bool = False) -> str:
        """Connect from a container that has the newest OpenSSL, and return its output."""
        network, address = f"{self.stack.project}_frontend", f"{self.stack.front}:8443"
        client = ["docker", "run", "--rm", "--network", network, "nginx:1.30-trixie", "openssl", "s_client"]
        return self.stack.run(*client, "-connect", address, *options, fails=fails)

    def recreate(self, **environment: str) -> None:
        """Recreate it with these settings."""
        self.stack.environment |= environment
        self.stack.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", self.stack.front)


def read(connection: socket.socket) -> bytes:
    said = b""
    try:
        while piece := connection.recv(65536):
            said += piece
    except OSError:
        return said
    return said


class Watch:
    """Collects what the front and web log from now on."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.services = {"front": front.stack.front, "web": "web"}
        self.before = {name: len(lines(front.stack, service)) for name, service in self.services.items()}

    def requests(self, name: str) -> list[dict[str, Any]]:
        """Return the access log until now, which a request of this test marks."""
        marker = f"{MARK}{secrets.token_hex(8)}/"
        self.front.get(marker)
        service = self.services[name]
        seconds_until(lambda: marker in docker_logs(self.front.stack, service), 5)
        new = [read_line(line) for line in lines(self.front.stack, service)[self.before[name] :]]
        return [line for line in new if not line.get("path", MARK).startswith(MARK)]

    def paths(self, name: str) -> list[str]:
        return [line["path"] for line in self.requests(name)]


def read_line(text: str) -> dict[str, Any]:
    """Return the fields of a line, of Caddy's under the names that nginx' have."""
    line: dict[str, Any] = json.loads(text)
    if not isinstance(request := line.get("request"), dict):
        return line
    names = {"client_ip": "client", "method": "method", "host": "host", "proto": "protocol"}
    known = {ours: request[theirs] for theirs, ours in names.items()}
    # Not only a secret's place: also that of each query
    path = request["uri"] if "/reset/" in request["uri"] else request["uri"].removesuffix("[redacted]")
    return line | known | {"path": path, "request_id": line.get("uuid")}


def docker_logs(stack: Stack, service: str) -> str:
    return stack.run("docker", "logs", stack.container(service))


def lines(stack: Stack, service: str) -> list[str]:
    """Return the lines in JSON; e-mails on the console are not."""
    return [line for line in docker_logs(stack, service).splitlines() if line.startswith("{")]


def request(method: str, path: str, *headers: str, host: str = "localhost", body: str = "") -> bytes:
    """Return a raw request that closes its connection."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "Connection: close"]
    return "\r\n".join([*head, "", body]).encode("latin-1")


def statuses(said: bytes) -> list[int]:
    """Return the status, also after a JSON body without a newline."""
    return [int(status) for status in re.findall(rb"(?:^|\})HTTP/1\.1 (\d{3}) ", said, re.M)]


def open_front(stack: Stack) -> Front:
    """A prod tier for localhost, with two client containers in its network."""
    stack.configure(SETTINGS)
    subnet = stack.environment["FRONTEND_SUBNET"].rpartition(".")[0]
    stack.overlay("visitors.yml", VISITORS.format(subnet=subnet))
    start = time.monotonic()
    stack.make("prod-up")
    print(f"up in {time.monotonic() - start:.0f} s")
    return Front(stack, Site("localhost", stack.ports["nginx"]), {"first": f"{subnet}.201", "second": f"{subnet}.202"})

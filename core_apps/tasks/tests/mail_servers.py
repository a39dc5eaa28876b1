"""Mail servers on sockets of their own: one answers, one does not."""

import socket
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread


class Session(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as smtplib needs."""

    server: "MailServer"

    def handle(self) -> None:
        self.server.connections += 1
        self.reply("220 ready")
        for line in self.rfile:
            command = line.split()[0].upper()
            if command == b"DATA":
                self.reply("354 go ahead")
                self.server.messages.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.reply("221 bye" if command == b"QUIT" else "250 ok")

    def reply(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.messages: list[str] = []
        self.connections = 0


@contextmanager
def run_mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def run_silent_server() -> Iterator[int]:
    """Accepts connections and never sends a byte; returns the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]

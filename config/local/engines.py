"""Runs PostgreSQL and Valkey in a directory for as long as any process uses them.

Each of these processes holds a shared lock. The last one, which can make its lock exclusive, stops the servers. The
kernel releases the lock of a killed process; its servers go on until the next process that uses them stops them.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from config.local.postgresql import PostgreSQL
from config.local.secret_files import get_or_create_secret
from config.local.servers import RunError
from config.local.valkey import Broker, Valkey

SERVERS: Mapping[str, type[PostgreSQL | Valkey]] = {
    "DATABASE_URL": PostgreSQL,
    "REDIS_URL": Valkey,
    "BROKER_URL": Broker,
}


@contextmanager
def engines(home: Path, *, durable: bool = True, external: Collection[str] = ()) -> Iterator[dict[str, str]]:
    """Keep the servers of `home` running and yield their URLs, except those whose settings are in `external`."""
    home = home.resolve()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (home / "users").open("a") as users, (home / "starting").open("a") as starting:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                fcntl.flock(starting, fcntl.LOCK_EX)
                urls = start(home, durable, external)
                fcntl.flock(starting, fcntl.LOCK_UN)
                yield urls
            finally:
                with suppress(BlockingIOError):  # another process uses them
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    stop(home)
    except PermissionError as error:
        raise RunError(f"{error.filename} belongs to another user: run as that user.") from None


def start(home: Path, durable: bool, external: Collection[str]) -> dict[str, str]:
    password = get_or_create_secret(home / "password")
    needed = {variable: server for variable, server in SERVERS.items() if variable not in external}
    return {variable: server(home, password, durable=durable).start() for variable, server in needed.items()}


def stop(home: Path) -> None:
    for server in SERVERS.values():
        server(home).stop()


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """Create a directory for engines named after this process, and remove those of processes that have ended."""
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob("*-*/"):
        if not psutil.pid_exists(int(old.name.partition("-")[0])):
            remove(old)
    directory = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    try:
        yield directory
    finally:
        remove(directory)


def remove(directory: Path) -> None:
    stop(directory)
    shutil.rmtree(directory, ignore_errors=True)

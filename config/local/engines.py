"""PostgreSQL and Valkey, running in a directory for as long as anybody uses them.

Each process that uses them holds a shared lock; the last to leave, who can make it exclusive, stops them. The kernel
drops the lock of a process that is killed: its servers stay, and the next user finds them and stops them in the end.
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
from config.local.secret_files import kept_secret
from config.local.servers import RunError
from config.local.valkey import Valkey

SERVERS: Mapping[str, type[PostgreSQL | Valkey]] = {"DATABASE_URL": PostgreSQL, "REDIS_URL": Valkey}


@contextmanager
def engines(home: Path, *, durable: bool = True, given: Collection[str] = ()) -> Iterator[dict[str, str]]:
    """Keep the servers of `home` running and yield their URLs; those whose setting is in `given` are not needed."""
    home = home.resolve()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (home / "users").open("a") as users, (home / "starting").open("a") as starting:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                fcntl.flock(starting, fcntl.LOCK_EX)
                urls = start(home, durable, given)
                fcntl.flock(starting, fcntl.LOCK_UN)
                yield urls
            finally:
                with suppress(BlockingIOError):  # somebody else uses them
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    stop(home)
    except PermissionError as error:
        raise RunError(f"{error.filename} belongs to another user: run as that user.") from None


def start(home: Path, durable: bool, given: Collection[str]) -> dict[str, str]:
    password = kept_secret(home / "password")
    wanted = {variable: server for variable, server in SERVERS.items() if variable not in given}
    return {variable: server(home, password, durable=durable).start() for variable, server in wanted.items()}


def stop(home: Path) -> None:
    for server in SERVERS.values():
        server(home).stop()


@contextmanager
def scratch_directory(parent: Path) -> Iterator[Path]:
    """A new directory in `parent` for engines, named after this process; those of processes that are gone go first."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob("*-*/"):
        if not psutil.pid_exists(int(left.name.partition("-")[0])):
            remove(left)
    directory = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=parent))
    try:
        yield directory
    finally:
        remove(directory)


def remove(directory: Path) -> None:
    stop(directory)
    shutil.rmtree(directory, ignore_errors=True)

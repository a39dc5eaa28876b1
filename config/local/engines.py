"""PostgreSQL and Valkey, kept up in a directory for as long as anybody uses them.

Any number of processes may use one directory's servers. Each holds a shared lock; the last to leave, who can
make it exclusive, stops them. The kernel drops the lock of a process that is killed: its servers stay up, and
the next user adopts them and stops them in the end.
"""

import fcntl
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.local.postgresql import PostgreSQL
from config.local.secret_files import kept_secret
from config.local.servers import RunError, Server, is_alive
from config.local.stopping import signals_deferred
from config.local.valkey import Valkey

SERVERS: Mapping[str, type[Server]] = {"DATABASE_URL": PostgreSQL, "REDIS_URL": Valkey}


@dataclass(frozen=True)
class Engines:
    urls: dict[str, str]
    """By the name of the setting."""

    processes: list[psutil.Process]

    def dead(self) -> list[str]:
        return [process.name() for process in self.processes if not is_alive(process)]


@contextmanager
def engines(home: Path, *, durable: bool = True, given: Collection[str] = ()) -> Iterator[Engines]:
    """Keep the servers of `home` running; those whose setting is in `given` are not needed."""
    home = home.resolve()
    with ExitStack() as stack:
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            users = stack.enter_context((home / "users").open("a"))
            starting = stack.enter_context((home / "starting").open("a"))
        except PermissionError as error:
            raise RunError(f"{error.filename} belongs to another user: run as that user.") from None
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            fcntl.flock(starting, fcntl.LOCK_EX)
            with signals_deferred():
                running = start(home, durable, given)
            fcntl.flock(starting, fcntl.LOCK_UN)
            yield running
        finally:
            with signals_deferred():
                stop_unless_used(home, users.fileno())


def start(home: Path, durable: bool, given: Collection[str]) -> Engines:
    running = Engines({}, [])
    password = kept_secret(home / "password")
    for variable, server in SERVERS.items():
        if variable not in given:
            process, url = server(home, password, durable=durable).start()
            running.urls[variable] = url
            running.processes.append(process)
    return running


def stop_unless_used(home: Path, users: int) -> bool:
    """Stop the servers unless somebody holds the lock `users`; return whether they are stopped."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    for server in SERVERS.values():
        server(home).stop()
    return True

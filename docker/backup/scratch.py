"""A temporary PostgreSQL server, reachable only through its socket."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backup.errors import BackupError
from backup.programs import reason, run, succeeds

# Durability is not needed: an interrupted run starts again.
UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@contextmanager
def server(
    directory: Path, user: str, options: Mapping[str, str] | None = None, start_seconds: int = 60
) -> Iterator[str]:
    """Start a server on `directory`/data, created if missing; yield its connection string.

    Access to the directory is full access to the server: keep it to one user.
    """
    data = directory / "data"
    if not data.exists():
        directory.mkdir(mode=0o700, exist_ok=True)
        run("initdb", f"--pgdata={data}", f"--username={user}", "--auth=trust", "--no-sync", "--encoding=UTF8")
    configure(data, {"listen_addresses": "", "unix_socket_directories": str(directory), **UNSAFE, **(options or {})})
    try:
        start(data, directory / "log", start_seconds)
        yield f"host={directory} user={user} dbname=postgres"
    finally:
        stop(data)


def configure(data: Path, options: Mapping[str, str]) -> None:
    (data / "pg_hba.conf").write_text("local all all trust\n")
    # Appended: of two lines with one name the last counts.
    with (data / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in options.items())


def start(data: Path, log: Path, seconds: int) -> None:
    # Without PG* variables, which would make pg_ctl ask the production server.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    command = ["pg_ctl", "start", "--wait", f"--timeout={seconds}", f"--pgdata={data}", f"--log={log}"]
    try:
        run(*command, environment=environment)
        wait(data, seconds)
    except BackupError as error:
        raise BackupError(f"the server in {data.parent} does not start: {reason(log.read_text())}") from error


def wait(data: Path, seconds: int) -> None:
    """Wait until it accepts connections: pg_ctl does not wait for the end of a recovery."""
    deadline = time.monotonic() + seconds
    while not succeeds("pg_isready", "--quiet", f"--host={data.parent}"):
        if time.monotonic() > deadline or not succeeds("pg_ctl", "status", f"--pgdata={data}"):
            raise BackupError("it stopped or took too long")
        time.sleep(0.1)


def stop(data: Path) -> None:
    succeeds("pg_ctl", "stop", "--mode=immediate", f"--pgdata={data}")  # it may have stopped already


@contextmanager
def empty(directory: Path) -> Iterator[Path]:
    """Empty the directory before and after the block; a server left there is stopped."""
    try:
        clear(directory)
        yield directory
    finally:
        clear(directory)


def clear(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            stop(path / "data")
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)  # the container `drill` may be removing it

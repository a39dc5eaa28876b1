"""A PostgreSQL server of our own, reached by its socket alone, which ends with the block that needs it."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from backup.settings import FailedError

STOP_SECONDS = 30
# Nothing in it is worth a wait for the disk: whoever is interrupted begins anew.
UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@contextmanager
def server(
    directory: Path, user: str, options: Mapping[str, str] | None = None, start_seconds: float = 60
) -> Iterator[str]:
    """Its connection string. The data are in `data` below the directory, with `user` as its superuser where it is new.

    Whoever may enter the directory may do everything: keep it to one user.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (directory / "data" / "PG_VERSION").exists():
        initialise(directory, user)
    process = start(directory, dict(options or {}))
    try:
        wait(process, directory, start_seconds)
        yield f"host={directory} user={user} dbname=postgres"
    finally:
        stop(process)


def initialise(directory: Path, user: str) -> None:
    command = ["initdb", f"--pgdata={directory / 'data'}", f"--username={user}", "--auth=trust", "--no-sync"]
    done = subprocess.run([*command, "--encoding=UTF8"], capture_output=True, text=True)
    if done.returncode:
        raise FailedError(f"no database could be made in {directory}: {last_line(done.stderr)}")


def start(directory: Path, options: dict[str, str]) -> subprocess.Popen[bytes]:
    access = directory / "pg_hba.conf"
    access.write_text("local all all trust\n")
    settings = UNSAFE | {
        "listen_addresses": "",
        "unix_socket_directories": str(directory),
        "hba_file": str(access),
        "archive_mode": "off",
        "logging_collector": "off",
        "log_line_prefix": "",
        **options,
    }
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # Where this process is killed, the kernel ends the server: nobody else knows of it.
    command = ["setpriv", "--pdeathsig", "QUIT", "postgres", "-D", str(directory / "data"), *arguments]
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def wait(process: subprocess.Popen[bytes], directory: Path, seconds: float) -> None:
    """Until it accepts connections."""
    deadline = time.monotonic() + seconds
    question = ["pg_isready", "--quiet", f"--host={directory}"]
    # Not those of the server that serves.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    while subprocess.run(question, env=environment).returncode:
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            what = "ended" if ended else f"did not accept connections within {seconds:.0f} s"
            raise FailedError(f"the server in {directory} {what}: {last_line((directory / 'log').read_text())}")
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # ends every session, and writes what is in memory
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_line(said: str) -> str:
    """What it said last of what went wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "ERROR", "error:"))]
    return (telling or lines or ["it said nothing"])[-1]

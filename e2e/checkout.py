"""Fresh clones, started by `make` in an empty home directory."""

import http.client
import os
import pwd
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

SOURCE = Path(__file__).resolve().parent.parent
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What decides where pip finds packages is the machine's; everything else a clone sees is new.
KEPT = re.compile(r"PIP_.*|.*_proxy|.*_PROXY|SSL_CERT_.*|REQUESTS_CA_BUNDLE")
INSTALL_SECONDS = 180


@dataclass
class Run:
    """A running `make`; its output goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seconds_to_served(self, limit: float = INSTALL_SECONDS) -> float:
        """Wait for 200 from the liveness probe and return how long it took."""
        start = time.monotonic()
        while self.health() != 200:
            assert self.process.poll() is None, self.output
            assert time.monotonic() - start < limit, self.output
            time.sleep(0.02)
        return time.monotonic() - start

    def wait_for_output(self, text: str, limit: float = 30) -> None:
        deadline = time.monotonic() + limit
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.02)

    def health(self) -> int | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/v1/health/")
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def press_ctrl_c(self) -> None:
        """Send Ctrl-C to the whole process group, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, seconds: float = 30) -> str:
        self.process.wait(seconds)
        return self.output


@dataclass
class Checkout:
    path: Path
    home: Path
    credentials: dict[str, Any]
    search_path: str
    runs: list[Run] = field(default_factory=list)

    def make(
        self, *arguments: str, environment: Mapping[str, str] = MappingProxyType({}), stdin: int = subprocess.DEVNULL
    ) -> Run:
        port = find_free_port()
        log = self.home.parent / f"{len(self.runs)}.log"
        kept = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["make", f"PORT={port}", *arguments],
                cwd=self.path,
                env=kept | {"HOME": str(self.home), "PATH": self.search_path, **environment},
                stdin=stdin,
                stdout=file,
                stderr=file,
                start_new_session=True,
                **self.credentials,
            )
        self.runs.append(Run(process, log, port))
        return self.runs[-1]

    def processes(self) -> list[str]:
        """Return processes whose command line, directory or environment contains the checkout."""
        processes = psutil.process_iter(["pid", "status", "cmdline", "cwd", "environ"])
        alive = [str(p.info) for p in processes if p.info["status"] != psutil.STATUS_ZOMBIE]
        return [known for known in alive if str(self.path) in known]

    def assert_nothing_runs(self) -> None:
        deadline = time.monotonic() + 2
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == []


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clone(parent: Path, user: str) -> Checkout:
    """Clone the committed files to a path of 150 characters owned by the user."""
    path = parent / ("d" * (149 - len(str(parent))))
    home = parent / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "-q", str(SOURCE), str(path)], check=True)
    if user == "self":
        return Checkout(path, home, {}, os.environ["PATH"])
    account = pwd.getpwnam(user)
    for name in (parent, *parent.rglob("*")):
        os.chown(name, account.pw_uid, account.pw_gid, follow_symlinks=False)
    credentials = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return Checkout(path, home, credentials, SYSTEM_PATH)

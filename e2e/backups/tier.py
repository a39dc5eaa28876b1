"""The backup package of docker/backup, and its service in a prod tier."""

import hashlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e.checkout import SOURCE
from e2e.stack import DATABASE, Stack

# In a hurry; a WebDAV server, which knows no hashes; and one that prints what it is sent.
OVERLAY = """
services:
  backup:
    healthcheck: {interval: 1s, timeout: 10s, retries: 1, start_period: 0s}
  remote: &beside
    image: ${COMPOSE_PROJECT_NAME}-backup:postgres-17
    entrypoint: [rclone, serve, webdav, --dir-cache-time, 0s, --addr, ":8080", /srv]
    tmpfs: ["/srv:size=500m,uid=10001"]
    healthcheck: {test: [CMD, "true"], start_interval: 1s, start_period: 10s}
    networks: [outside]
  listener:
    <<: *beside
    entrypoint:
      - python3
      - -uc
      - |
        from http.server import BaseHTTPRequestHandler, HTTPServer
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                print(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(204)
                self.end_headers()
        HTTPServer(("", 8080), Handler).serve_forever()
"""
HOOK = "http://listener:8080/"
REMOTE = {"RCLONE_CONFIG_FAR_TYPE": "webdav", "RCLONE_CONFIG_FAR_URL": "http://remote:8080"}
PARTS = {"database.dump": b"PGDMP", "media.tar": b"\0" * 512}


def package(module: str) -> Any:
    """Import a module of the package, as the image has it."""
    sys.path.insert(0, str(SOURCE / "docker"))
    try:
        return importlib.import_module(f"backup.{module}")
    finally:
        sys.path.remove(str(SOURCE / "docker"))


def settings(directory: Path, **environment: str) -> Any:
    """Return settings of a service whose volume is the directory."""
    found = package("settings").Settings.from_environment(environment)
    return replace(found, backups=directory, media=directory.parent, scratch=directory.parent)


def write_backup(directory: Path, taken: datetime, kind: str = "scheduled", **changes: Any) -> Path:
    """Write a small backup of that time with a valid manifest."""
    manifest = package("manifest")
    place = directory / f"{taken:%Y%m%dT%H%M%SZ}"
    place.mkdir()
    for name, data in PARTS.items():
        (place / name).write_bytes(data)
    files = {name: manifest.File(len(data), hashlib.sha256(data).hexdigest()) for name, data in PARTS.items()}
    found = manifest.Manifest(place.name, kind, taken, taken, "17.0", DATABASE, 8_000_000, {}, files, **changes)
    (place / manifest.FILE).write_text(found.as_text())
    return place


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir() if not entry.name.startswith("."))


class Service:
    """The backup service of a running tier."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def run(self, *arguments: str, fails: bool = False, **environment: str) -> str:
        """Run a command in the container, optionally with other settings."""
        given = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        command = ["exec", "-T", *given, "backup", "python3", "-m", "backup", *arguments]
        return self.stack.compose(*command, fails=fails)

    def shell(self, line: str, fails: bool = False) -> str:
        return self.stack.within("backup", "sh", "-c", line, fails=fails)

    def names(self) -> list[str]:
        return self.shell("ls /backups").split()

    def list_leftovers(self) -> list[str]:
        """Return partially written or removed backups."""
        return self.shell("find /backups -name '*.partial*'").split()

    def manifest(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.shell(f"cat /backups/{name}/manifest.json"))
        return found

    def sql(self, statement: str) -> str:
        command = ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-U", DATABASE, "-c", statement]
        return self.stack.within("db", *command).strip()

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of its log, all of which must be JSON."""
        return [
            json.loads(line) for line in self.stack.run("docker", "logs", self.stack.container("backup")).splitlines()
        ]

    @contextmanager
    def start_run(self, *arguments: str) -> Iterator["BackgroundRun"]:
        """Run a command in the background, which must end within the block."""
        given = BackgroundRun(self, *arguments)
        try:
            yield given
        finally:
            given.process.kill()
            given.process.communicate()

    def read_reports(self) -> list[dict[str, Any]]:
        """Return what BACKUP_FAILURE_URL has received."""
        said = self.stack.run("docker", "logs", self.stack.container("listener"))
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


class BackgroundRun:
    """`python3 -m backup …` running in the service's container."""

    def __init__(self, service: Service, *arguments: str) -> None:
        self.service = service
        line = f"echo $$; exec python3 -m backup {' '.join(arguments)}"
        command = ["docker", "exec", service.stack.container("backup"), "sh", "-c", line]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout
        # As the container counts it.
        self.id = int(self.process.stdout.readline())

    def wait_for_file(self, file: str) -> None:
        """Wait until the file has contents."""
        self.service.shell(f"until [ -s /backups/.partial-*/{file} ]; do sleep 0.02; done")

    def kill(self) -> None:
        self.service.shell(f"kill -9 {self.id}")

    def wait(self) -> tuple[int, str]:
        """Wait for the end, and return the exit code and the output."""
        said, _ = self.process.communicate(timeout=90)
        return self.process.returncode, said


def start(stack: Stack, overlay: str = "", **variables: str) -> Service:
    """Start the database, the service with these settings, a server for copies, and one for failure reports."""
    stack.configure("".join(f"{name}={value}\n" for name, value in variables.items()))
    # It moves the remotes.
    stack.make("prod-env")
    stack.overlay("backups.yml", OVERLAY + overlay)
    stack.compose("build", "--quiet", "backup", "migrate")
    stack.compose("up", "--detach", "--wait", "backup", "remote", "listener")
    return Service(stack)

"""Measures the image and the basic tier's start, beside two public peers and our own bars.

Peers: cookiecutter-django 2026.8.18 and docker-django-example 25de410, production image, same base.
"""

import http.client
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT, IMAGE = "exhibition-crm-bench", "exhibition-crm:bench"
BASE = "python:3.13-slim-trixie"
REQUESTS, CLIENTS = 10_000, 8
FORBIDDEN_COMMANDS = ("gcc", "cc", "g++", "make", "git", "pip", "curl", "wget")


def run(*command: str, **options: object) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout.strip()  # type: ignore[call-overload, no-any-return]


def seconds(*command: str, **options: object) -> float:
    started = time.monotonic()
    run(*command, **options)
    return time.monotonic() - started


class Image:
    def __init__(self, source: Path, tag: str) -> None:
        self.tag = tag
        self.build_seconds = seconds("docker", "build", "-f", "docker/django/Dockerfile", "-t", tag, ".", cwd=source)

    @property
    def bytes(self) -> int:
        return size(self.tag)

    def forbidden(self) -> list[str]:
        """Return what a runtime image does not need: compilers, download tools, headers."""
        commands = run("docker", "run", "--rm", self.tag, "sh", "-c", f"which {' '.join(FORBIDDEN_COMMANDS)} || true")
        packages = run("docker", "run", "--rm", self.tag, "dpkg-query", "-W", "-f", "${Package}\\n")
        return commands.split() + [name for name in packages.split() if name.endswith("-dev")]

    def layers(self) -> dict[str, int]:
        """Return the bytes of each layer by digest."""
        digests = json.loads(run("docker", "image", "inspect", "-f", "{{json .RootFS.Layers}}", self.tag))
        # Steps that only set metadata make no layer; WORKDIR makes one of 0 bytes.
        history = run("docker", "history", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", self.tag)
        steps = [line.partition(" ")[::2] for line in history.splitlines()]
        sizes = [int(count) for count, step in steps if int(count) or step.startswith("WORKDIR")]
        return dict(zip(reversed(digests), sizes, strict=False))


def size(tag: str) -> int:
    return int(run("docker", "image", "inspect", "-f", "{{.Size}}", tag))


class Stack:
    """The basic tier under a separate project name, with two workers."""

    def __init__(self, source: Path, version: str) -> None:
        with socket.socket() as web, socket.socket() as db:
            web.bind(("127.0.0.1", 0))
            db.bind(("127.0.0.1", 0))
            self.port, db_port = web.getsockname()[1], db.getsockname()[1]
        own = {"COMPOSE_PROJECT_NAME": PROJECT, "VERSION": version, "WEB_CONCURRENCY": "2"}
        passwords = ("SECRET_KEY", "POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD")
        own |= {name: secrets.token_urlsafe(48) for name in passwords}
        own |= {"WEB_PORT": str(self.port), "DB_PORT": str(db_port)}
        self.options = {"cwd": source, "env": dict(os.environ, **own)}

    def compose(self, *arguments: str) -> str:
        return run("docker", "compose", *arguments, **self.options)

    def seconds_to_up(self) -> float:
        return seconds("docker", "compose", "up", "-d", "--wait", **self.options)

    def seconds_from_start_to_ready(self) -> float:
        self.compose("stop", "web")
        container = self.compose("ps", "-aq", "web")
        started = time.monotonic()
        run("docker", "start", container)
        while self.status("/api/v1/ready/") != 200:
            time.sleep(0.02)
        return time.monotonic() - started

    def status(self, path: str) -> int | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def mebibytes_after_load(self) -> float:
        with ThreadPoolExecutor(CLIENTS) as clients:
            answers = list(clients.map(self.status, ["/admin/login/", "/api/v1/health/"] * (REQUESTS // 2)))
        if answers.count(200) != REQUESTS:
            raise SystemExit(f"{REQUESTS - answers.count(200)} of {REQUESTS} requests failed")
        used = run("docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", self.compose("ps", "-q", "web"))
        return float(used.split("MiB")[0])


@contextmanager
def copy_checkout() -> Iterator[Path]:
    """Copy the committed files, so that one can be changed."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "checkout"
        run("git", "clone", "-q", str(CHECKOUT), str(source))
        yield source


def measure() -> Iterator[tuple[str, float, float, str]]:
    """Print name, figure, bar and the peers' figures."""
    with copy_checkout() as source:
        image = Image(source, IMAGE)
        yield "image above base, MB", (image.bytes - size(BASE)) / 1e6, 75, "152 / 174"
        yield "forbidden commands and packages", len(image.forbidden()), 0, "1 / 2"
        with (source / "customers" / "apps.py").open("a") as module:
            module.write("# one line more\n")
        changed = Image(source, f"{IMAGE}-changed")
        yield "rebuild after one line, s", changed.build_seconds, 3, "5.0 / 1.9"
        new = sum(count for digest, count in changed.layers().items() if digest not in image.layers())
        yield "shipped again for it, MB", new / 1e6, 2, "124 / 4.3"
        yield from measure_stack(Stack(source, "bench"))


def measure_stack(stack: Stack) -> Iterator[tuple[str, float, float, str]]:
    try:
        stack.seconds_to_up()
        stack.compose("down")
        yield "up --wait, volumes kept, migrated, s", stack.seconds_to_up(), 10, "not possible / 61.7"
        yield "start to ready, s", stack.seconds_from_start_to_ready(), 3, "3.1 / 1.5"
        yield f"2 workers after {REQUESTS} requests, MiB", stack.mebibytes_after_load(), 100, "166 / 140"
    finally:
        stack.compose("down", "--volumes")
        run("docker", "image", "rm", IMAGE, f"{IMAGE}-changed")


def main() -> None:
    if not shutil.which("docker"):
        raise SystemExit("docker is not installed: make doctor tells what this machine lacks")
    print(f"{'':38} {'ours':>8} {'bar':>8}  {'':7} peers")
    for name, figure, bar, peers in measure():
        print(f"{name:38} {figure:8.1f} {'<= ' + str(bar):>8}  {'met' if figure <= bar else 'MISSED':7} {peers}")


if __name__ == "__main__":
    main()

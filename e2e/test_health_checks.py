"""Every health check is made to fail and to recover."""

import functools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from e2e.checkout import SOURCE
from e2e.stack import Stack, docker, seconds_until

SERVICES = {"basic": ["db", "redis", "broker", "web"], "dev": ["db", "redis", "broker", "web", "adminer"]}
# The dev tier has the same health checks as the basic one.
EACH = [
    pytest.param(tier, service, marks=pytest.mark.full if tier == "dev" else [])
    for tier, services in SERVICES.items()
    for service in services
]
FAST = "{interval: 1s, timeout: 2s, retries: 2, start_period: 15s, start_interval: 1s}"


@pytest.fixture(scope="module")
def running(stack_of: Callable[[str], Stack]) -> Callable[[str], Stack]:
    """Return a function that starts a tier on first use, with more frequent health checks."""

    @functools.cache
    def start(tier: str) -> Stack:
        stack = stack_of(tier)
        services = "".join(f"  {service}: {{healthcheck: {FAST}}}\n" for service in SERVICES[tier])
        stack.overlay("fast.yml", f"services:\n{services}")
        stack.make({"basic": "up", "dev": "dev-up"}[tier])
        return stack

    return start


@contextmanager
def freeze(stack: Stack, service: str) -> Iterator[None]:
    """Freeze the service: its socket accepts connections but does not respond."""
    signal_server(stack, service, "STOP")
    try:
        yield
    finally:
        signal_server(stack, service, "CONT")


def signal_server(stack: Stack, service: str, name: str) -> None:
    if service != "web":
        stack.signal(service, name)
        return
    # Its first process is tini; the server is that one's child and grandchildren.
    (server,) = stack.children(service)
    processes = [server, *stack.children(service, server)]
    stack.within(service, "sh", "-c", f"kill -{name} {' '.join(map(str, processes))}")


@pytest.mark.parametrize(("tier", "service"), EACH)
def test_silent_server_is_unhealthy_until_it_answers(running: Callable[[str], Stack], tier: str, service: str) -> None:
    stack = running(tier)
    assert stack.health(service) == "healthy"
    with freeze(stack, service):
        unhealthy = stack.wait_to_be("unhealthy", service)
    healthy = stack.wait_to_be("healthy", service)
    print(f"{tier} {service}: unhealthy after {unhealthy:.1f} s, healthy again after {healthy:.1f} s")


@pytest.mark.parametrize(
    "tier", [pytest.param(tier, marks=pytest.mark.full if tier == "dev" else []) for tier in SERVICES]
)
def test_container_without_its_server_is_unhealthy(running: Callable[[str], Stack], tier: str) -> None:
    """Services refuse connections; all at once, because each has a start period."""
    stack, services = running(tier), SERVICES[tier]
    names = [f"{stack.project}-refused-{service}" for service in services]
    for service, name in zip(services, names, strict=True):
        stack.compose("run", "--detach", "--no-deps", "--name", name, service, "sleep", "600")
    for name in names:
        state = ["inspect", "--format", "{{.State.Health.Status}}", name]
        seconds_until(lambda state=state: docker(*state) == "unhealthy", 40)  # type: ignore[misc]
    docker("rm", "--force", *names)


def test_redis_that_answers_with_an_error_is_unhealthy(running: Callable[[str], Stack]) -> None:
    stack = running("basic")
    stack.within("redis", "redis-cli", "config", "set", "requirepass", "wrong")
    stack.wait_to_be("unhealthy", "redis")
    stack.within("redis", "redis-cli", "--no-auth-warning", "-a", "wrong", "config", "set", "requirepass", "")
    stack.wait_to_be("healthy", "redis")


def test_frozen_worker_is_replaced(running: Callable[[str], Stack]) -> None:
    """In one tier the worker, in the other the clock inside of it: each has a heartbeat."""
    tiers = [running("basic"), running("dev")]
    restarts = [stack.inspect("celery-worker")["RestartCount"] for stack in tiers]
    for stack in tiers:
        (watchdog,) = stack.children("celery-worker")
        (worker,) = stack.children("celery-worker", watchdog)
        frozen = worker if stack.tier == "basic" else stack.children("celery-worker", worker)[-1]
        stack.within("celery-worker", "sh", "-c", f"kill -STOP {frozen}")
    started = time.monotonic()
    for stack, before in zip(tiers, restarts, strict=True):
        seconds_until(lambda: bool(stack.inspect("celery-worker")["RestartCount"] > before), 60)  # noqa: B023
        stack.wait_to_be("healthy", "celery-worker")
        print(f"{stack.tier}: healthy again {time.monotonic() - started:.1f} s later")


def check(port: int) -> tuple[int, str]:
    script = SOURCE / "docker/django/healthcheck.py"
    environment = os.environ | {"PORT": str(port)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=5)
    return done.returncode, done.stderr.strip()


@contextmanager
def server_that_says(status: int) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/v1/health/" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503])
def test_check_fails_on_anything_but_200(status: int) -> None:
    with server_that_says(status) as port:
        assert check(port) == (1, f"answered {status}")


def test_check_passes_on_200() -> None:
    with server_that_says(200) as port:
        assert check(port) == (0, "")


def test_check_fails_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert check(port) == (1, "no answer: [Errno 111] Connection refused")


def test_check_fails_where_nobody_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert check(server.getsockname()[1]) == (1, "no answer: timed out")

"""nginx finds web again wherever it is, with the nginx that the image brings and with a newer one."""

import functools
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.load import Load, Request
from e2e.stack import Site, Stack, ask, docker, seconds_until

BASE, FOLLOWS = "nginx:1.28-trixie", (1, 27, 3)
NEWER = Path(__file__).with_name("nginx_newer.Dockerfile")
OVERLAY = "services: {nginx: {build: {args: {NGINX_IMAGE: e2e-nginx-newer}}}}"
PAGE = Request("GET", "/admin/login/", 200)
TO_WEB = "[0-9A-F]{8}:1F40"  # port 8000, in hexadecimal


@pytest.fixture(scope="module")
def running(stack_of: Callable[[str], Stack]) -> Iterator[Callable[[str], Stack]]:
    """Returns the tier with that nginx, started by the first test that asks for it."""

    @functools.cache
    def start(nginx: str) -> Stack:
        if nginx == "newer" and number(docker("run", "--rm", BASE, "sh", "-c", "nginx -v 2>&1")) >= FOLLOWS:
            return start("of the image")
        stack = stack_of("prod")
        if nginx == "newer":
            subprocess.run(
                ["docker", "build", "-q", "-t", "e2e-nginx-newer", "-"], input=NEWER.read_bytes(), check=True
            )
            stack.make("prod-env")
            stack.overlay("newer.yml", OVERLAY)
        stack.make("prod-up")
        return stack

    yield start
    subprocess.run(["docker", "image", "rm", "--force", "e2e-nginx-newer"], check=True, capture_output=True)


@pytest.fixture(params=["of the image", "newer"])
def prod(request: pytest.FixtureRequest, running: Callable[[str], Stack]) -> Stack:
    return running(request.param)


def version(stack: Stack) -> tuple[int, ...]:
    return number(stack.within("nginx", "nginx", "-v"))


def number(said: str) -> tuple[int, ...]:
    return tuple(int(part) for part in said.strip().rpartition("/")[2].split("."))


def workers(stack: Stack) -> list[int]:
    """A reload replaces them."""
    return stack.children("nginx", int(stack.within("nginx", "cat", "/tmp/nginx.pid")))


def test_web_with_another_address_is_found_without_a_reload(prod: Stack) -> None:
    site, before = Site("localhost", prod.ports["nginx"]), (prod.address("web", "frontend"), workers(prod))
    prod.compose("rm", "--stop", "--force", "web")
    squatter = f"{prod.project}-squatter"
    # Somebody else has the old address now, and is no web server.
    network, label = f"{prod.project}_frontend", f"com.docker.compose.project={prod.project}"
    docker("run", "--detach", "--name", squatter, "--label", label, "--network", network, prod.image, "sleep", "60")
    assert ask(site, "GET", "/admin/login/").status == 503
    prod.compose("up", "--detach", "--wait", "--no-deps", "web")
    docker("rm", "--force", squatter)
    seconds = seconds_until(lambda: ask(site, "GET", "/admin/login/").status == 200, 5)
    statuses = [ask(site, "GET", "/admin/login/").status for _ in range(200)]
    print(f"nginx {version(prod)}: found after {seconds:.1f} s, then {statuses.count(200)}/200 answered")
    assert statuses == [200] * 200
    assert prod.address("web", "frontend") != before[0]
    assert workers(prod) == before[1]


def test_connections_to_web_are_kept_where_nginx_can(prod: Stack) -> None:
    with Load(Site("localhost", prod.ports["nginx"]), [PAGE], rate=50, count=200, clients=4) as load:
        pass
    assert load.failures == []
    opened = prod.within("nginx", "sh", "-c", f"grep -cE ' {TO_WEB} ' /proc/net/tcp || true")
    print(f"nginx {version(prod)}: {opened.strip()} connections for 200 requests")
    assert (int(opened) < 20) == (version(prod) >= FOLLOWS)


def test_requests_are_directed_to_one_container_and_back(prod: Stack) -> None:
    site, own = Site("localhost", prod.ports["nginx"]), prod.inspect("web")["Name"].lstrip("/")
    with Load(site, [PAGE], rate=40, count=240, clients=4) as load:
        for name in (own, "web", own, "web"):
            assert prod.within("nginx", "direct-to.sh", name) == f"directed to {name}\n"
            time.sleep(1)
    print(f"nginx {version(prod)}: {load.report()}")
    assert load.failures == []
    assert prod.within("nginx", "direct-to.sh", "web") == ""

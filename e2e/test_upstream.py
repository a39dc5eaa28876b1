"""nginx finds web at any address."""

import time
from collections.abc import Callable

import pytest

from e2e.load import Load, Request
from e2e.site import Site, ask
from e2e.stack import Stack, docker, seconds_until

pytestmark = pytest.mark.full
PAGE = Request("GET", "/admin/login/", 200)


@pytest.fixture(scope="module")
def prod(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("prod")
    stack.make("prod-up")
    return stack


def workers(stack: Stack) -> list[int]:
    """Return nginx' workers, which a reload replaces."""
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
    print(f"found after {seconds:.1f} s, then {statuses.count(200)}/200 answered")
    assert statuses == [200] * 200
    assert prod.address("web", "frontend") != before[0]
    assert workers(prod) == before[1]


def test_requests_are_directed_to_one_container_and_back(prod: Stack) -> None:
    site, own = Site("localhost", prod.ports["nginx"]), prod.inspect("web")["Name"].lstrip("/")
    with Load(site, [PAGE], rate=40, count=240, clients=4) as load:
        for name in (own, "web", own, "web"):
            assert prod.within("nginx", "direct-to.sh", name) == f"directed to {name}\n"
            time.sleep(1)
    print(load.report())
    assert load.failures == []
    assert prod.within("nginx", "direct-to.sh", "web") == ""

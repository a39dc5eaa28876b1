"""What another visitor, and whoever probes the site, notice while it is attacked."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from e2e.load import Load, Request, Sample
from e2e.site import Site
from e2e.stack import Stack, docker

LIVENESS = Request("GET", "/api/v1/health/", 200)
READINESS = Request("GET", "/api/v1/ready/", 200)
LOGIN_PAGE = Request("GET", "/admin/login/", 200)
LIMIT = 1  # second
LEAST = 5  # seconds to watch: what an attack has started may outlive it


@dataclass
class Target:
    """A prod tier that is attacked."""

    stack: Stack
    site: Site
    # Values of session cookies, and API tokens, by name: alice is an administrator, staff-0 … staff-11 export.
    sessions: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def pages(self) -> list[Request]:
        return [LOGIN_PAGE, Request("GET", "/admin/customers/customer/", 200, self.cookie("alice"))]

    def cookie(self, name: str) -> dict[str, str]:
        return {"Cookie": f"sessionid={self.sessions[name]}"}

    def token(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Token {self.tokens[name]}"}


def build_form(
    path: str, fields: Mapping[str, str], status: int, headers: Mapping[str, str], cookie: str = ""
) -> Request:
    """Return a POST with the token against forgery, as a browser sends it."""
    token = "a" * 32
    own = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"csrftoken={token}; {cookie}",
        "Referer": "https://localhost/",
    }
    return Request("POST", path, status, own | dict(headers), urlencode({"csrfmiddlewaretoken": token, **fields}))


@contextmanager
def undisturbed(target: Target, limit: float = LIMIT) -> Iterator[Load]:
    """While the block attacks: 20 requests a second of another visitor, and probes; afterwards all must have passed."""
    with probed(target), Load(target.site, target.pages, rate=20, clients=40) as visits:
        end = time.monotonic() + LEAST
        yield visits
        time.sleep(max(0, end - time.monotonic()))
    print(f"bystander: {visits.report()}")
    assert (visits.failures, visits.p95 <= limit) == ([], True), f"p95 {visits.p95:.2f} s"


@contextmanager
def probed(target: Target) -> Iterator[None]:
    """Probe while the block attacks; both probes must be answered in each second, and no process be replaced."""
    before = find_processes(target.stack)
    with (
        Load(target.site, [LIVENESS], rate=4, clients=16) as liveness,
        Load(target.site, [READINESS], rate=4, clients=16) as readiness,
    ):
        yield
    print(f"liveness: {liveness.report()}\nreadiness: {readiness.report()}")
    assert find_silent_seconds(liveness) == []
    assert find_silent_seconds(readiness) == []
    assert find_processes(target.stack) == before


def find_silent_seconds(probes: Load) -> list[int]:
    """The seconds of the attack in which no probe was answered within a second."""
    start = min(sample.start for sample in probes.samples)
    asked, answered = (
        {int(sample.start - start) for sample in samples}
        for samples in (probes.samples, filter(is_prompt, probes.samples))
    )
    return sorted(asked - answered)


def is_prompt(sample: Sample) -> bool:
    return not sample.failed and sample.seconds <= LIMIT


def find_processes(stack: Stack) -> dict[str, Any]:
    """Restarts of each container, and Gunicorn's workers, which it replaces when they are killed."""
    containers = json.loads(docker("inspect", *stack.list_resources("container")))
    restarts = {one["Name"]: (one["RestartCount"], one["State"]["StartedAt"]) for one in containers}
    (gunicorn,) = stack.children("web")
    return {"restarts": restarts, "workers": stack.children("web", gunicorn)}

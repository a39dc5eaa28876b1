"""Caddy in place of nginx: what it alone does. The tests of e2e/front_door/ run with it as well."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from e2e.acme import NAME, Authority, authority, names
from e2e.conftest import new_stacks
from e2e.deploys import Deployed, form_headers, switch_under_load
from e2e.load import Load, Request
from e2e.site import ask
from e2e.stack import BOUNDED, Stack

# What Caddy says when it has read its file again, and of each request
RELOADED, HANDLED = "successfully reloaded config from file", '"message":"handled request"'
LIMIT = 25 * 2**20  # bytes, of uploads
DIAL = "import socket; socket.create_connection(('caddy', 2019), 2)"


@pytest.fixture(scope="module")
def image(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("caddy")
    stack.make("prod-env")
    stack.compose("build", "caddy")
    return stack


def validate(stack: Stack, values: dict[str, str], *, fails: bool = False) -> str:
    options = [part for name, value in values.items() for part in ("--env", f"{name}={value}")]
    command = ["caddy", "validate", "--config", "/etc/caddy/Caddyfile"]
    return stack.compose("run", "--rm", "--no-deps", "-T", *options, "caddy", *command, fails=fails)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"DOMAIN": "crm.test,www.crm.test", "LETSENCRYPT_EMAIL": "crm@trade-fair.test", "HTTPS_PORT": "8443"},
        {"TRUSTED_PROXIES": "192.0.2.1,2001:db8::/32", "SECURE_HSTS_PRELOAD": "true", "UPLOAD_LIMIT_MB": "1"},
    ],
    ids=["defaults", "two names", "a proxy"],
)
def test_configuration_of_caddy_is_valid(image: Stack, values: dict[str, str]) -> None:
    assert "Valid configuration" in validate(image, values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOMAIN", "crm.test {"),
        ("TRUSTED_PROXIES", "private_ranges"),
        ("UPLOAD_LIMIT_MB", "a lot"),
        ("LETSENCRYPT_EMAIL", "a\nb"),
        ("SITE_PASSWORD", "secret"),
    ],
)
def test_setting_that_cannot_be_is_refused_by_name(image: Stack, name: str, value: str) -> None:
    said = validate(image, {name: value}, fails=True)
    assert re.search(f"^Caddy cannot start: .*{name}", said, re.M), said


@pytest.fixture
def issued(request: pytest.FixtureRequest, engine: None) -> Iterator[Authority]:
    """A tier with a certificate of a Pebble."""
    with new_stacks(request.config) as stack_of:
        stack = stack_of("caddy")
        found = authority(stack)
        found.start()
        stack.make("prod-up")
        yield found


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text[:19] + "+00:00")


@pytest.mark.full
def test_certificate_is_there_within_seconds(issued: Authority) -> None:
    stack, site = issued.stack, issued.site()
    certificate = site.certificate()
    assert names(certificate) == [NAME]
    assert ask(site, "GET", "/admin/login/").status == 200
    log = [json.loads(line) for line in stack.run("docker", "logs", stack.container("caddy")).splitlines()]
    (obtained,) = [line["time"] for line in log if line["message"] == "certificate obtained successfully"]
    started = stack.inspect("caddy")["State"]["StartedAt"]
    seconds = (read_time(obtained) - read_time(started)).total_seconds()
    print(f"certificate {seconds:.0f} s after the start")
    assert seconds <= 15
    before = issued.orders()
    stack.compose("up", "--detach", "--wait", "--no-deps", "--force-recreate", "caddy")
    assert (site.certificate().serial_number, issued.orders()) == (certificate.serial_number, before)
    assert "certificate  issuer: CN=Pebble" in stack.make("prod-status")


@pytest.fixture(scope="module")
def deployed(request: pytest.FixtureRequest, engine: None) -> Iterator[Deployed]:
    with new_stacks(request.config) as stack_of:
        yield Deployed(stack_of("caddy"))


def count_in_log(stack: Stack, *texts: str) -> list[int]:
    log = stack.run("docker", "logs", stack.container("caddy"))
    return [log.count(text) for text in texts]


@pytest.mark.full
def test_caddy_is_bounded_and_has_no_interface(deployed: Deployed) -> None:
    stack = deployed.stack
    assert stack.bounds("caddy") == BOUNDED
    status = stack.within("caddy", "cat", "/proc/self/status")
    assert re.findall(r"^(?:Uid|CapEff|CapBnd):\s+(\w+)", status, re.M) == ["10003", "0" * 16, "0" * 16]
    published = {inner: int(outer.rpartition(":")[2]) for inner, outer in stack.list_published().items()}
    assert published == {"caddy:8080/tcp": stack.ports["http"], "caddy:8443/tcp": stack.ports["nginx"]}
    assert "ConnectionRefusedError" in stack.within("web", "python", "-c", DIAL, fails=True)
    assert "Failed to connect" in stack.within("caddy", "curl", "-sS", "http://127.0.0.1:2019/config/", fails=True)


@pytest.mark.full
def test_upload_of_the_limit_arrives(deployed: Deployed) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{deployed.session["token"]}\r\n'
    head += '--x\r\nContent-Disposition: form-data; name="ignored"; filename="a"\r\n\r\n'
    end = "\r\n--x--\r\n"
    body = head.encode() + b"x" * (LIMIT - len(head) - len(end)) + end.encode()
    headers = form_headers(deployed.session) | {"Content-Type": "multipart/form-data; boundary=x"}
    answer = ask(deployed.site, "POST", "/admin/customers/customer/add/", headers, body)
    # The form again, because it has no name.
    assert (answer.status, "errornote" in answer.text) == (200, True)


@pytest.mark.full
def test_reload_loses_no_request_that_was_read(deployed: Deployed) -> None:
    """Others are closed: Go does so with connections whose first request has not come when a server ends."""
    pages = [Request("GET", "/admin/login/", 200), Request("GET", deployed.style(), 200), Request("GET", "/", 302)]
    before = count_in_log(deployed.stack, RELOADED, HANDLED)
    with Load(deployed.site, pages, rate=150, count=5_000) as load:
        while load.is_running:
            deployed.stack.signal("caddy", "USR1")
            time.sleep(2)
    after = count_in_log(deployed.stack, RELOADED, HANDLED)
    reloads, handled = (late - early for early, late in zip(before, after, strict=True))
    print(f"{reloads} reloads, {load.report()}")
    assert reloads >= 10
    assert [one.answer for one in load.failures if one.answer] == []
    assert handled == len(load.samples) - len(load.failures)


@pytest.mark.full
def test_deploys_under_load_lose_nothing(deployed: Deployed) -> None:
    assert switch_under_load(deployed, "deploy", rate=100, count=10_000) >= 2
    assert deployed.versions() == [deployed.version]

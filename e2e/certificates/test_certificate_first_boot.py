"""The first start while the authority is away: explained, served with a placeholder, and healed without hands."""

import json
import re
from collections.abc import Callable
from datetime import datetime

import pytest

from e2e.acme import NAME, Authority, authority
from e2e.stack import Site, Stack, ask, seconds_until


@pytest.fixture(scope="module")
def issuer(stack_of: Callable[[str], Stack]) -> Authority:
    """Not started."""
    stack = stack_of("prod")
    found = authority(stack)
    del stack.environment["COMPOSE_PROFILES"]
    stack.make("prod-build")
    return found


@pytest.fixture(scope="module")
def said(issuer: Authority) -> str:
    return issuer.stack.make("prod-up", fails=True)


@pytest.fixture(scope="module")
def placeholder(issuer: Authority, said: str) -> Site:
    return Site(NAME, issuer.stack.ports["nginx"])


def messages(stack: Stack) -> list[tuple[float, str]]:
    """What the keeper has said, and when (seconds since the epoch)."""
    lines = [json.loads(line) for line in re.findall(r"\{.*\}", stack.logs("certbot"))]
    return [(datetime.fromisoformat(line["time"]).timestamp(), line["message"]) for line in lines]


def test_first_start_without_the_authority_says_why_and_when_again(said: str) -> None:
    print(said[-900:])
    assert "WARNING      a self-signed placeholder is served: browsers warn of it\n" in said
    (warning,) = re.findall(r"^WARNING      tries that failed: (\d+), next in (\d+) seconds: (.*)", said, re.M)
    assert (warning[0], int(warning[1]) <= 60) == ("1", True)
    assert warning[2].startswith("this server finds no address for the authority at ACME_DIRECTORY: ")
    assert "First administrator" not in said


def test_placeholder_is_served_and_both_ports_work(issuer: Authority, placeholder: Site) -> None:
    certificate = placeholder.certificate()
    assert certificate.issuer == certificate.subject
    assert ask(placeholder, "GET", "/api/v1/ready/").text == '{"status": "ready"}'
    assert ask(issuer.stack.ports["http"], "GET", "/", {"Host": NAME}).status == 301


def test_keeper_is_unhealthy_and_not_restarted(issuer: Authority, said: str) -> None:
    assert issuer.stack.health("certbot") == "unhealthy"
    assert issuer.stack.inspect("certbot")["RestartCount"] == 0
    services = ("db", "redis", "web", "nginx")
    assert [issuer.stack.health(service) for service in services] == ["healthy"] * 4


def test_restart_does_not_try_earlier_and_the_second_try_heals(issuer: Authority, placeholder: Site) -> None:
    stack = issuer.stack
    (failed_at, failure), *_ = messages(stack)
    assert failure.startswith(f"certificate for {NAME} not obtained, next try in 60 seconds: ")
    stack.compose("restart", "certbot")
    stack.environment["COMPOSE_PROFILES"] = "authority"
    issuer.start()
    assert issuer.orders() == 0
    seconds_until(lambda: placeholder.certificate().issuer != placeholder.certificate().subject, 70)
    stack.wait_to_be("healthy", "certbot")
    (_, waiting), (healed_at, healed) = messages(stack)[1:]
    assert re.match(r"waiting for \d+ seconds, tries that failed: 1: ", waiting)
    assert healed.startswith(f"new certificate for {NAME}: issued by CN=Pebble Intermediate CA")
    assert 60 <= healed_at - failed_at <= 75
    assert issuer.orders() == 1
    assert ask(issuer.site(), "GET", "/api/v1/ready/").status == 200
    assert "WARNING" not in stack.make("prod-status")
    print(f"second try, and healed, {healed_at - failed_at:.1f} s after the first, with a restart of certbot between")

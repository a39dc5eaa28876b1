"""Certificates of ACME servers in one tier: first issue, renewals, another issuer, other names."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from e2e.acme import ALIAS, NAME, Authority, add, authority, names
from e2e.load import Load, Request
from e2e.site import Site, ask
from e2e.stack import Stack, seconds_until

LIFETIME = 40  # seconds, of what the second authority issues
HOST = {"Host": NAME}
PORT_80 = [
    Request("GET", "/", 301, HOST),
    Request("GET", "/admin/login/?next=/", 301, HOST),
    Request("GET", "/.well-known/acme-challenge/unknown", 404, HOST),
]


@dataclass(frozen=True)
class Tier:
    stack: Stack
    authority: Authority
    short_lived: Authority
    output: str  # of the first start, without an authority
    placeholder: Site


@pytest.fixture(scope="module")
def tier(stack_of: Callable[[str], Stack]) -> Tier:
    stack, ca = stack_of("prod"), trustme.CA()
    first = authority(stack, ca=ca)
    short_lived = Authority(stack, ca, "shortlived", LIFETIME)
    del stack.environment["COMPOSE_PROFILES"]
    said = stack.make("prod-up", fails=True)
    return Tier(stack, first, short_lived, said, Site(NAME, stack.ports["nginx"]))


def serial(site: Site) -> int | None:
    """Return the serial number of the served certificate, if it is trusted."""
    try:
        return site.certificate().serial_number
    except OSError:
        return None


def test_first_start_without_the_authority_serves_a_placeholder_and_says_why(tier: Tier) -> None:
    stack = tier.stack
    assert "WARNING      a self-signed placeholder is served: browsers warn about it" in tier.output
    assert "First administrator" not in tier.output
    certificate = tier.placeholder.certificate()
    assert (certificate.issuer, names(certificate)) == (certificate.subject, [NAME])
    seconds_until(lambda: ask(tier.placeholder, "GET", "/api/v1/ready/").text == '{"status": "ready"}', 30)
    assert (stack.health("certbot"), stack.inspect("certbot")["RestartCount"]) == ("unhealthy", 0)
    assert f"no new certificate for {NAME}, next try in 20 minutes: " in stack.logs("certbot")
    assert stack.within("certbot", "cat", "/metrics/certbot.prom") == "certificate_renewal_failed 1\n"


def test_certificate_is_asked_for_now_while_port_80_answers(tier: Tier) -> None:
    stack = tier.stack
    stack.environment["COMPOSE_PROFILES"] = "authority"
    tier.authority.start()
    tier.short_lived.start()
    site = tier.authority.site()
    with Load(stack.ports["http"], PORT_80, rate=40) as load:
        stack.make("prod-certificate")
        seconds = seconds_until(lambda: serial(site) is not None, 30)
    print(f"from asking to a trusted certificate: {seconds:.1f} s; port 80: {load.report()}")
    assert load.failures == []
    stack.wait_to_be("healthy", "certbot")
    said = stack.make("prod-status")
    assert f"certificate  {NAME}: issued by CN=Pebble Intermediate CA" in said
    assert "WARNING" not in said
    key = site.certificate().public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    assert (names(site.certificate()), key.curve.name) == ([NAME], "secp256r1")


def test_challenge_is_answered_on_port_80_alone(tier: Tier) -> None:
    directory = "/var/www/challenges/.well-known/acme-challenge"
    tier.stack.within("certbot", "sh", "-c", f"mkdir -p {directory} && printf proof > {directory}/token")
    path = "/.well-known/acme-challenge/token"
    assert ask(tier.stack.ports["http"], "GET", path, HOST).body == b"proof"
    assert ask(tier.authority.site(), "GET", path).status == 404


@pytest.mark.full
def test_switch_of_the_issuer_renews_at_half_life_and_back_orders_nothing(tier: Tier) -> None:
    stack, before = tier.stack, serial(tier.authority.site())
    add(stack, ACME_DIRECTORY=tier.short_lived.url)
    stack.make("prod-up")
    assert serial(tier.authority.site()) is None
    renew_under_load(tier.short_lived.site())
    lose_authority(tier)
    add(stack, ACME_DIRECTORY=tier.authority.url)
    stack.make("prod-up")
    assert serial(tier.authority.site()) == before
    assert tier.authority.orders() == 1


def renew_under_load(site: Site) -> None:
    first = site.certificate().serial_number
    with Load(site, [Request("GET", "/api/v1/health/", 200)], rate=60) as load:
        seconds = seconds_until(lambda: serial(site) not in (first, None), LIFETIME)
        time.sleep(2)  # the reload
    print(f"renewed after {seconds:.1f} s of {LIFETIME} s: {load.report()}")
    assert load.failures == []


def lose_authority(tier: Tier) -> None:
    """The old certificate is served until it expires, and the tier warns in time."""
    stack, site = tier.stack, Site(NAME, tier.stack.ports["nginx"])
    with tier.short_lived.out_of_reach():
        stack.wait_to_be("unhealthy", "certbot", 2 * LIFETIME)
        said = stack.make("prod-status")
        assert "WARNING      less than a quarter of its lifetime is left, and it has not been renewed" in said
        old = serial(site)
        assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'
    stack.make("prod-certificate")
    seconds_until(lambda: serial(site) != old, 30)
    stack.wait_to_be("healthy", "certbot")


@pytest.mark.parametrize("domain", [f"{NAME},{ALIAS}", ALIAS])
def test_change_of_names_gets_a_certificate_for_exactly_these(tier: Tier, domain: str) -> None:
    stack, expected = tier.stack, sorted(domain.split(","))
    stack.make("prod-init", f"DOMAIN={domain}")
    stack.make("prod-up")
    sites = [tier.authority.site(name) for name in expected]
    assert [names(site.certificate()) for site in sites] == [expected] * len(sites)
    assert [ask(site, "GET", "/api/v1/ready/").status for site in sites] == [200] * len(sites)


def test_second_start_serves_the_same_certificate_and_orders_nothing(tier: Tier) -> None:
    site = tier.authority.site(ALIAS)
    before = serial(site)
    tier.stack.make("prod-down")
    tier.stack.make("prod-up")
    assert (serial(site), before is None) == (before, False)
    assert tier.authority.orders() == 0

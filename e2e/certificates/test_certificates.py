"""Certificates from an ACME server: the first one, a second start, another issuer, other names."""

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from e2e.acme import ALIAS, NAME, Authority, add, authority, names
from e2e.load import Load, Request
from e2e.stack import Site, Stack, ask, seconds_until

HOST = {"Host": NAME}
PORT_80 = [
    Request("GET", "/", 301, HOST),
    Request("GET", "/admin/login/?next=/", 301, HOST),
    Request("GET", "/.well-known/acme-challenge/unknown", 404, HOST),
]


@dataclass(frozen=True)
class Start:
    stack: Stack
    staging: Authority
    production: Authority
    site: Site  # for whoever trusts staging
    load: Load
    seconds: float
    said: str


@pytest.fixture(scope="module")
def first(stack_of: Callable[[str], Stack]) -> Start:
    """The first start, with requests to port 80 from its first answer to the end."""
    stack, ca = stack_of("prod"), trustme.CA()
    staging, production = authority(stack, ca=ca), Authority(stack, ca, "production")
    stack.make("prod-build")
    staging.start()
    production.start()
    with ThreadPoolExecutor() as pool:
        start = time.monotonic()
        running = pool.submit(stack.make, "prod-up")
        seconds_until(lambda: answers(stack), 60)
        with Load(stack.ports["http"], PORT_80, rate=40) as load:
            said = running.result()
        seconds = time.monotonic() - start
    return Start(stack, staging, production, staging.site(), load, seconds, said)


def answers(stack: Stack) -> bool:
    try:
        return ask(stack.ports["http"], "GET", "/", HOST).status == 301
    except OSError:
        return False


def serial(site: Site) -> int | None:
    """Of the certificate that is served, if one is that this visitor trusts."""
    try:
        return site.certificate().serial_number
    except OSError:
        return None


def test_first_certificate_is_there_within_a_minute(first: Start) -> None:
    assert ask(first.site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'
    assert first.staging.orders() == 1
    print(f"from empty volumes to a trusted certificate: {first.seconds:.1f} s")
    assert first.seconds <= 60


def test_port_80_answers_throughout_the_first_start(first: Start) -> None:
    print(f"port 80 during {first.seconds:.1f} s: {first.load.report()}")
    assert first.load.failures == []
    locations = {sample.answer.headers["Location"] for sample in first.load.samples if sample.answer}
    home = f"https://{NAME}:{first.stack.ports['nginx']}/"
    assert locations == {home, f"{home}admin/login/?next=/", None}


def test_challenge_is_answered_on_port_80_alone(first: Start) -> None:
    directory = "/var/www/challenges/.well-known/acme-challenge"
    first.stack.within("certbot", "sh", "-c", f"mkdir -p {directory} && printf proof > {directory}/token")
    path = "/.well-known/acme-challenge/token"
    assert ask(first.stack.ports["http"], "GET", path, HOST).body == b"proof"
    assert ask(first.site, "GET", path).status == 404


def test_certificate_is_for_the_name_with_a_key_of_256_bits(first: Start) -> None:
    certificate = first.site.certificate()
    assert names(certificate) == [NAME]
    key = certificate.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_status_tells_issuer_and_days_left(first: Start) -> None:
    expected = rf"^certificate  {NAME}: issued by CN=Pebble Intermediate CA \w+, serial \w+, 90 days of 90 days left$"
    for said in (first.said, first.stack.make("prod-status")):
        print(re.findall("^certificate .*", said, re.M))
        assert re.search(expected, said, re.M)
        assert "WARNING" not in said


def test_switch_of_the_issuer_replaces_the_certificate_and_back_orders_nothing(first: Start) -> None:
    before = serial(first.site)
    add(first.stack, ACME_DIRECTORY=first.production.url)
    start = time.monotonic()
    first.stack.make("prod-up")
    assert ask(first.production.site(), "GET", "/api/v1/ready/").status == 200
    print(f"from the switch to the certificate of the other issuer: {time.monotonic() - start:.1f} s")
    assert serial(first.site) is None
    add(first.stack, ACME_DIRECTORY=first.staging.url)
    first.stack.make("prod-up")
    assert serial(first.site) == before
    assert (first.staging.orders(), first.production.orders()) == (1, 1)


def test_wrong_bundle_is_explained_while_the_former_certificate_is_served(first: Start, tmp_path: Path) -> None:
    stack, before = first.stack, serial(first.site)
    wrong = tmp_path / "wrong.pem"
    trustme.CA().cert_pem.write_to_path(str(wrong))
    bundle = str(stack.checkout / "acme-ca.pem")
    add(stack, ACME_CA_BUNDLE=str(wrong))
    stack.make("prod-init", f"DOMAIN={NAME},{ALIAS}")
    said = stack.make("prod-up", fails=True)
    (warning,) = re.findall("^WARNING      tries that failed: 1, next in .*", said, re.M)
    print(warning)
    assert re.search(r"seconds: ACME_CA_BUNDLE does not vouch for the authority at ACME_DIRECTORY: ", warning)
    assert f"it is for {NAME}, and of other settings; none was obtained with the present ones" in said
    assert serial(first.site) == before
    add(stack, ACME_CA_BUNDLE=bundle)


@pytest.mark.parametrize("domain", [f"{NAME},{ALIAS}", ALIAS])
def test_change_of_names_gets_a_certificate_for_exactly_these(first: Start, domain: str) -> None:
    stack, expected = first.stack, sorted(domain.split(","))
    stack.make("prod-init", f"DOMAIN={domain}")
    start = time.monotonic()
    stack.make("prod-up")
    sites = [first.staging.site(name) for name in expected]
    assert [names(site.certificate()) for site in sites] == [expected] * len(sites)
    assert [ask(site, "GET", "/api/v1/ready/").status for site in sites] == [200] * len(sites)
    print(f"from the change to a certificate for {', '.join(expected)}: {time.monotonic() - start:.1f} s")


def test_second_start_serves_the_same_certificate_at_once_and_orders_nothing(first: Start) -> None:
    stack, site = first.stack, first.staging.site(ALIAS)
    before = serial(site)
    stack.make("prod-down")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(stack.make, "prod-up")
        seconds = seconds_until(lambda: serial(site) is not None, 60)
        assert serial(site) == before
        running.result()
    assert serial(site) == before
    # Both have started again too, and know of no order from before.
    assert (first.staging.orders(), first.production.orders()) == (0, 0)
    assert x509.load_pem_x509_certificate(first.staging.root().encode()).serial_number
    print(f"served again {seconds:.1f} s after `make prod-up`, 0 orders")

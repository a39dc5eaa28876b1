"""Certificates that live for minutes: renewed under load, and with an authority that is away."""

import itertools
import re
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from cryptography import x509

from e2e.acme import Authority, authority
from e2e.load import Load, Request
from e2e.stack import Site, Stack, ask, seconds_until

LIFETIME = 80  # seconds
PATH = "/api/v1/health/"


@pytest.fixture(scope="module")
def issuer(stack_of: Callable[[str], Stack]) -> Authority:
    stack = stack_of("prod")
    found = authority(stack, lifetime=LIFETIME)
    stack.make("prod-build")
    found.start()
    stack.make("prod-up")
    return found


@pytest.fixture(scope="module")
def site(issuer: Authority) -> Site:
    return issuer.site()


@dataclass
class KeptAlive:
    """A visitor whose browser keeps its connection, and asks every two seconds."""

    site: Site
    answered: int = 0
    closed: int = 0  # by the server between two requests, as HTTP allows
    broken: list[Exception] = field(default_factory=list)

    @contextmanager
    def asking(self) -> Iterator[None]:
        stop = threading.Event()
        visitor = threading.Thread(target=self._ask, args=[stop])
        visitor.start()
        try:
            yield
        finally:
            stop.set()
            visitor.join()

    def _ask(self, stop: threading.Event) -> None:
        with closing(self.site.connection()) as connection:
            while not stop.wait(2):
                if connection.sock and select.select([connection.sock], [], [], 0)[0]:
                    connection.close()
                    self.closed += 1
                try:
                    connection.request("GET", PATH)
                    response = connection.getresponse()
                    self.answered += response.read() == b'{"status": "ok"}'
                except Exception as error:
                    self.broken.append(error)
                    return


def watched(site: Site, count: int, limit: float) -> list[tuple[float, x509.Certificate]]:
    """The certificates that replace the present one, and when (seconds since the epoch) each was first served."""
    found = [(time.time(), site.certificate())]
    end = time.time() + limit
    while len(found) <= count:
        assert time.time() < end, f"{len(found) - 1} of {count} renewals within {limit} s"
        time.sleep(0.5)
        certificate = site.certificate()
        if certificate.serial_number != found[-1][1].serial_number:
            found.append((time.time(), certificate))
    return found[1:]


def test_renewal_at_half_life_fails_no_request(issuer: Authority, site: Site) -> None:
    """The first perhaps earlier: Pebble proposes a random moment (RFC 9773), and is asked for it every six hours."""
    first = site.certificate()
    visitor = KeptAlive(site)
    with Load(site, [Request("GET", PATH, 200)], rate=60) as load, visitor.asking():
        renewed = watched(site, 2, 3 * LIFETIME)
        seconds_until(lambda: len(load.samples) >= 5000, 60)
    starts = [first.not_valid_before_utc, *(certificate.not_valid_before_utc for _, certificate in renewed)]
    ages = [(new - old).total_seconds() for old, new in itertools.pairwise(starts)]
    served = [round(moment - issued(issuer, certificate), 1) for moment, certificate in renewed]
    print(f"renewed {len(renewed)} times, at an age of {ages} of {LIFETIME} s; served {served} s after issue")
    print(f"one connection a request: {load.report()}")
    print(f"one connection for all: {visitor.answered} answered, closed between two requests {visitor.closed} times")
    assert load.failures == []
    assert len(load.samples) >= 5000
    # Looked at twelve times in a lifetime, and each look takes seconds.
    assert LIFETIME / 2 - 1 <= ages[1] <= LIFETIME / 2 + LIFETIME / 12 + 10 >= ages[0]
    assert max(served) <= 60
    assert (visitor.broken, visitor.closed <= len(renewed)) == ([], True)


def issued(issuer: Authority, certificate: x509.Certificate) -> float:
    """Seconds since the epoch."""
    line = rf"(\S+)Z Pebble .* Issued certificate serial 0*{certificate.serial_number:x} "
    (moment,) = re.findall(line, issuer.stack.logs(issuer.service))
    return datetime.fromisoformat(moment[:26]).replace(tzinfo=UTC).timestamp()


def test_authority_that_is_away_leaves_the_old_certificate_and_is_reported(issuer: Authority, site: Site) -> None:
    stack = issuer.stack
    seconds_until(lambda: age(site) < LIFETIME / 4, LIFETIME)
    old = site.certificate()
    start = time.monotonic()
    with issuer.out_of_reach():
        seconds_until(lambda: "certificate for crm.test not renewed, next try in 60 seconds" in keeper(stack), LIFETIME)
        noticed = time.monotonic() - start
        assert stack.health("certbot") == "healthy"
        assert re.search(
            r"^WARNING      tries that failed: 1, next in \d+ seconds: this server finds", status(stack), re.M
        )
        stack.wait_to_be("unhealthy", "certbot", LIFETIME)
        unhealthy = time.monotonic() - start
        assert site.certificate().serial_number == old.serial_number
        assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'
        assert "WARNING      less than a quarter of its lifetime is left, and it has not been renewed" in status(stack)
        assert keeper(stack).count('"ERROR"') == 0
        # «Try now»: without it the next try is a minute away.
        stack.signal("certbot", "HUP")
        error = (
            r'"level": "ERROR".*"the certificate is about to expire: issued by CN=Pebble.*, (\d+ seconds of|expired)'
        )
        seconds_until(lambda: re.search(error, keeper(stack)) is not None, 20)
    stack.signal("certbot", "HUP")
    healed = seconds_until(lambda: is_renewed(site, old), 30)
    stack.wait_to_be("healthy", "certbot")
    assert "WARNING" not in status(stack)
    print(f"certificate of {LIFETIME} s: failure after {noticed:.0f} s, unhealthy after {unhealthy:.0f} s")
    print(f"old one served throughout; {healed:.1f} s from «try now» to the new one")


def age(site: Site) -> float:
    """Of the certificate that is served, in seconds."""
    return (datetime.now(UTC) - site.certificate().not_valid_before_utc).total_seconds()


def keeper(stack: Stack) -> str:
    return stack.logs("certbot")


def status(stack: Stack) -> str:
    return stack.make("prod-status")


def is_renewed(site: Site, old: x509.Certificate) -> bool:
    try:
        return site.certificate().serial_number != old.serial_number
    except OSError:  # expired meanwhile
        return False

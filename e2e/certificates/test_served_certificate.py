"""The certificate that nginx serves: first a placeholder, and never a broken one instead of a working one."""

import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from e2e.acme import FAST
from e2e.site import Site, ask
from e2e.stack import Stack, seconds_until

PLACE = 'cd /certificates; printf %s "$0" > issued.partial && chmod 640 issued.partial; mv issued.partial issued.pem'
REFUSED = "the new certificate is rejected, the previous one stays: "
NOT_WHOLE = f"{REFUSED}it is expired or does not match its key"
KILL_WATCHER = """
for process in /proc/[0-9]*; do
  ! grep -q '90-w[a]tch' $process/cmdline || kill -9 ${process#/proc/}
done
"""
# Another placeholder, two months old.
AGE = """
rm /certificates/served.pem
sed 's/-days 90/-days 29/' /usr/local/bin/placeholder-certificate.sh | sh
touch -d '62 days ago' /certificates/served.pem
"""
LONGEST = 15  # seconds from a file to what is served
CA = trustme.CA()


@pytest.fixture(scope="module")
def stack(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("prod")
    stack.overlay("fast.yml", FAST)
    print(stack.make("prod-up")[-900:])
    return stack


@pytest.fixture(scope="module")
def site(stack: Stack) -> Site:
    return Site("localhost", stack.ports["nginx"])


@pytest.fixture
def working(stack: Stack, site: Site) -> int:
    """Place a valid certificate, and return its serial number."""
    whole = pem()
    expected = x509.load_pem_x509_certificate(whole.encode()).serial_number
    place(stack, whole)
    seconds_until(lambda: serial(site) == expected, LONGEST)
    return expected


def pem(lived: timedelta = timedelta(), key: trustme.LeafCert | None = None) -> str:
    """Return a chain with its own key or another one."""
    start = datetime.now(UTC) - lived
    leaf = CA.issue_cert("localhost", not_before=start, not_after=start + timedelta(days=90))
    return (b"".join(part.bytes() for part in leaf.cert_chain_pems) + (key or leaf).private_key_pem.bytes()).decode()


def place(stack: Stack, text: str) -> None:
    """Place the file atomically, as certbot's script does."""
    stack.within("certbot", "sh", "-c", PLACE, text)


def serial(site: Site) -> int:
    return site.certificate().serial_number


def is_placeholder(site: Site) -> bool:
    certificate = site.certificate()
    return certificate.issuer == certificate.subject


def count_log_lines(stack: Stack, words: str) -> int:
    return stack.logs("nginx").count(words)


def place_and_wait_for_refusal(stack: Stack, text: str, words: str) -> float:
    before = count_log_lines(stack, words)
    place(stack, text)
    return seconds_until(lambda: count_log_lines(stack, words) > before, LONGEST)


@contextmanager
def assert_unchanged(stack: Stack, site: Site) -> Iterator[None]:
    """Assert that no worker is replaced and the site responds."""
    services, before = ("db", "redis", "web", "nginx", "certbot"), serial(site)
    containers = [stack.inspect(service)["State"]["StartedAt"] for service in services]
    yield
    assert [stack.inspect(service)["State"]["StartedAt"] for service in services] == containers
    assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'
    assert serial(site) == before


def test_site_without_an_email_is_self_signed_and_says_so(stack: Stack, site: Site) -> None:
    status = stack.make("prod-status")
    expected = r"^certificate  localhost: issued by CN=self-signed placeholder, serial \w+, valid until "
    assert re.search(expected, status, re.M)
    assert "self-signed: set DOMAIN and LETSENCRYPT_EMAIL for one that browsers trust" in status
    assert "WARNING" not in status
    assert stack.health("certbot") == "healthy"
    assert is_placeholder(site)
    before = serial(site)
    stack.compose("up", "--detach", "--wait", "--force-recreate", "nginx", "certbot")
    assert serial(site) == before


def test_placeholder_is_no_authority_and_is_renewed_by_itself(stack: Stack, site: Site) -> None:
    stack.within("nginx", "sh", "-c", AGE)
    renewed = '"message":"now serving a new self-signed certificate"'
    seconds_until(lambda: renewed in stack.logs("nginx") and is_valid_for_long(site), LONGEST)
    extensions = site.certificate().extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(
        ca=False, path_length=None
    )
    usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]


def is_valid_for_long(site: Site) -> bool:
    left = site.certificate().not_valid_after_utc - datetime.now(UTC)
    return timedelta(days=88) < left <= timedelta(days=90)


def test_spoiled_certificate_never_replaces_the_working_one(stack: Stack, site: Site, working: int) -> None:
    whole = pem()
    spoiled = {
        "garbage": "\x01garbage",
        "cut off": whole[:-100],
        "with another's key": pem(key=CA.issue_cert("localhost")),
        "expired": pem(lived=timedelta(days=91)),
    }
    for what, text in spoiled.items():
        seconds = place_and_wait_for_refusal(stack, text, NOT_WHOLE)
        assert serial(site) == working
        print(f"{what}: refused with one line after {seconds:.1f} s, served on: {working:x}")


def test_spoiled_file_in_the_place_of_the_served_one_is_repaired_at_a_restart(
    stack: Stack, site: Site, working: int
) -> None:
    """The placeholder is replaced by the issued certificate as soon as nginx looks for it."""
    stack.within("nginx", "sh", "-c", "echo garbage > /certificates/served.pem")
    stack.compose("restart", "nginx")
    stack.wait_to_be("healthy", "nginx")
    seconds_until(lambda: serial(site) == working, LONGEST)


def test_whole_certificate_is_taken_without_cutting_off_anybody(stack: Stack, site: Site, working: int) -> None:
    with closing(site.connection()) as idle, closing(site.connection()) as sending:
        idle.request("GET", "/api/v1/health/")
        assert idle.getresponse().read() == b'{"status": "ok"}'
        begin(sending)
        place(stack, pem())
        seconds = seconds_until(lambda: serial(site) != working, LONGEST)
        sending.send(b"password=x")
        # Asked with the old certificate, and answered by the worker that had it.
        assert sending.getresponse().status == 403
    print(f"served {seconds:.1f} s after it was there; a request that was begun before got its answer")


def begin(connection: http.client.HTTPConnection) -> None:
    """Send half a request."""
    connection.putrequest("POST", "/admin/login/")
    connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.putheader("Content-Length", "20")
    connection.endheaders()
    connection.send(b"username=x")


def test_broken_configuration_keeps_the_old_certificate_until_it_is_repaired(
    stack: Stack, site: Site, working: int
) -> None:
    stack.within("nginx", "sh", "-c", "echo nonsense > /etc/nginx/conf.d/broken.conf")
    place_and_wait_for_refusal(stack, pem(), REFUSED)
    assert re.search(rf"{REFUSED}.*broken\.conf:\d+", stack.logs("nginx"))
    assert serial(site) == working
    stack.within("nginx", "rm", "/etc/nginx/conf.d/broken.conf")
    seconds = seconds_until(lambda: serial(site) != working, LONGEST)
    print(f"served {seconds:.1f} s after the configuration was repaired")


def test_broken_snippet_fails_at_the_build_and_the_site_answers_on(stack: Stack, site: Site) -> None:
    snippet = stack.checkout / "nginx/snippets/timeouts.conf"
    whole = snippet.read_text()
    snippet.write_text(whole + "nonsense on;\n")
    with assert_unchanged(stack, site):
        output = stack.make("prod-up", fails=True)
    snippet.write_text(whole)
    assert 'unknown directive "nonsense" in /etc/nginx/snippets/timeouts.conf' in output


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ('DOMAIN=crm".test', "DOMAIN: 'crm\".test' is not a host name"),
        (
            "TRUSTED_PROXIES=nonsense",
            "TRUSTED_PROXIES is not a comma-separated list of addresses or networks: nonsense",
        ),
        ("TRUSTED_PROXIES=10.0.0.999", 'host not found in set_real_ip_from "10.0.0.999"'),
        ("UPLOAD_LIMIT_MB=25;", "UPLOAD_LIMIT_MB or SECURE_HSTS_SECONDS is not a whole number: 25;"),
    ],
)
def test_broken_value_is_refused_before_anything_is_replaced(
    stack: Stack, site: Site, setting: str, reason: str
) -> None:
    env_file = stack.checkout / ".envs/.env.production"
    whole = env_file.read_text()
    env_file.write_text(f"{whole}{setting}\n")
    with assert_unchanged(stack, site):
        output = stack.make("prod-up", fails=True)
    env_file.write_text(whole)
    assert reason in output


def check_of(stack: Stack, fails: bool = True) -> str:
    return stack.within("nginx", "healthcheck.sh", fails=fails).strip()


def test_nginx_is_unhealthy_without_its_watcher(stack: Stack) -> None:
    backdate = "touch -d '3 minutes ago' /tmp/watching"
    stack.within("nginx", "sh", "-c", backdate)
    seconds_until(lambda: check_passes(stack), LONGEST)
    stack.within("nginx", "sh", "-c", f"{KILL_WATCHER}{backdate}")
    assert check_of(stack) == "the certificate watcher is not running"
    stack.wait_to_be("unhealthy", "nginx")
    stack.compose("restart", "nginx")
    stack.wait_to_be("healthy", "nginx")


def check_passes(stack: Stack) -> bool:
    try:
        return check_of(stack, fails=False) == ""
    except AssertionError:
        return False


@pytest.mark.parametrize(
    ("port", "reason"), [(8443, "TLS handshake on port 443 failed"), (8080, "port 80 answers 000 instead of 301")]
)
def test_nginx_is_unhealthy_without_a_port(stack: Stack, port: int, reason: str) -> None:
    reload = "kill -HUP $(cat /tmp/nginx.pid)"
    stack.within("nginx", "sh", "-c", f"sed -i 's/listen {port}/listen 9999/' /etc/nginx/conf.d/site.conf; {reload}")
    seconds_until(lambda: not check_passes(stack), LONGEST)
    assert check_of(stack) == reason
    stack.within("nginx", "sh", "-c", f"sed -i 's/listen 9999/listen {port}/' /etc/nginx/conf.d/site.conf; {reload}")
    seconds_until(lambda: check_passes(stack), LONGEST)


def test_silent_nginx_is_unhealthy_until_it_answers(stack: Stack) -> None:
    # The server and the watcher, and those of the server.
    own = stack.children("nginx")
    processes = " ".join(map(str, [*own, *stack.children("nginx", own[0])]))
    stack.within("nginx", "sh", "-c", f"kill -STOP {processes}")
    unhealthy = stack.wait_to_be("unhealthy", "nginx", 60)
    stack.within("nginx", "sh", "-c", f"kill -CONT {processes}")
    healthy = stack.wait_to_be("healthy", "nginx", 60)
    print(f"nginx: unhealthy after {unhealthy:.1f} s, healthy again after {healthy:.1f} s (every 3 s)")

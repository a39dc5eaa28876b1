"""TLS according to Mozilla's intermediate guideline 6.0, and no handshake for unknown names."""

import http.client
import re
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from e2e.front_door.front import Front
from e2e.site import Site, ask
from e2e.stack import seconds_until

# https://ssl-config.mozilla.org/guidelines/6.0.json in the form that sslyze reads; its own copy is 5.7.
GUIDELINE = Path(__file__).parent / "mozilla_6.0.json"
GUIDELINE_SECONDS = 120


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a certificate authority and a certificate like Let's Encrypt's: ECDSA, 90 days."""
    folder = tmp_path_factory.mktemp("authority")
    make(folder, "ca", "-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign")
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    usage = ["-addext", "basicConstraints=CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]
    make(folder, "site", *name, *usage, "-CA", "ca.pem", "-CAkey", "ca.key")
    return folder


def make(folder: Path, name: str, *options: str) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", f"{name}.key"]
    command = ["openssl", "req", "-x509", "-days", "90", *key, "-out", f"{name}.pem", *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def site(front: Front, authority: Path) -> Iterator[Site]:
    if front.stack.front == "caddy":
        root = front.stack.within("caddy", "cat", "/data/caddy/pki/authorities/local/root.crt")
        yield Site(front.site.name, front.site.port, root)
        return
    pem = (authority / "site.pem").read_text() + (authority / "site.key").read_text()
    front.stack.within("nginx", "sh", "-c", f"printf %s '{pem}' > /certificates/issued.pem")
    trusting = Site(front.site.name, front.site.port, (authority / "ca.pem").read_text())
    seconds_until(lambda: is_trusted(trusting), 20)
    yield trusting
    front.stack.within("nginx", "sh", "-c", "rm /certificates/*.pem")


def is_trusted(site: Site) -> bool:
    try:
        site.certificate()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def handshake(site: Site, front: Front) -> Callable[..., str]:
    """Connect with the newest OpenSSL and these options, and return its output."""
    return lambda *options, fails=False: front.openssl("-servername", site.name, *options, fails=fails)


def test_sslyze_finds_the_guideline_followed(site: Site, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_text(site.authority or "")
    command = [Path(sys.executable).with_name("sslyze"), "--custom_tls_config", GUIDELINE]
    command += ["--certinfo_ca_file", root, f"{site.name}:{site.port}{{127.0.0.1}}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=GUIDELINE_SECONDS)
    verdict = done.stdout[done.stdout.index("COMPLIANCE") :]
    print(verdict)
    assert (done.returncode, f"{site.name}:{site.port}: OK - Compliant." in verdict) == (0, True)


def test_key_exchange_holds_against_a_quantum_computer(handshake: Callable[..., str]) -> None:
    said = handshake("-tls1_3")
    assert re.findall("^Negotiated TLS1.3 group: (.*)", said, re.M) == ["X25519MLKEM768"]


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"),
        ("-tls1", "-cipher", "DEFAULT@SECLEVEL=0"),
        # With the certificate's own kind of key, so that it is the setting that refuses.
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-CCM"),
    ],
    ids=" ".join,
)
def test_weak_handshake_is_refused(handshake: Callable[..., str], options: tuple[str, ...]) -> None:
    said = handshake(*options, fails=True)
    (alert,) = re.findall(r"tlsv1 alert protocol version|alert handshake failure", said)
    print(f"{' '.join(options)}: {alert}")


def test_http_2_is_negotiated(site: Site) -> None:
    with closing(Site(site.name, site.port, site.authority).connection()) as connection:
        context: ssl.SSLContext = connection._context  # type: ignore[attr-defined]
        context.set_alpn_protocols(["h2", "http/1.1"])
        connection.connect()
        assert connection.sock.selected_alpn_protocol() == "h2"


def test_session_is_resumed_from_the_cache_and_never_from_a_ticket(site: Site) -> None:
    with closing(Site(site.name, site.port, site.authority).connection()) as connection:
        context: ssl.SSLContext = connection._context  # type: ignore[attr-defined]
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        connection.connect()
        session = connection.sock.session
        assert (session.has_ticket, len(session.id)) == (False, 32)


def test_ocsp_is_not_stapled(handshake: Callable[..., str]) -> None:
    assert "OCSP response: no response sent" in handshake("-status")


@pytest.mark.parametrize("options", [("-servername", "other.test"), ("-noservername",)], ids=" ".join)
def test_stranger_gets_no_handshake(front: Front, options: tuple[str, ...]) -> None:
    said = front.openssl(*options, fails=True)
    assert "tlsv1 unrecognized name" in said
    assert "BEGIN CERTIFICATE" not in said


@pytest.mark.parametrize("host", ["other.test", "127.0.0.1", "localhost.other.test", "xlocalhost", "web:8000"])
def test_unknown_host_gets_no_answer_and_never_reaches_django(front: Front, site: Site, host: str) -> None:
    known = f"/of-{host.replace(':', '-')}"
    with pytest.raises(http.client.RemoteDisconnected):
        ask(site, "GET", f"{known}/stranger", {"Host": host})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(front.stack.ports["http"], "GET", f"{known}/stranger", {"Host": host})
    ask(site, "GET", known)
    log = front.stack.logs("web")
    assert (f'"{known}"' in log, f"{known}/stranger" in log) == (True, False)

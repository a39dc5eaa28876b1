"""The certificate that visitors get: `served_certificate.py health` for the engine, `status` for a person."""

import socket
import ssl
import sys
from datetime import UTC, datetime

from cryptography import x509
from keep_certificate import Wanted

NGINX = ("nginx", 8443)
# Below this share of its lifetime a certificate should have been renewed.
MIN_LIFETIME_SHARE = 0.25


def fetch_certificate(name: str) -> x509.Certificate:
    """Fetch it from nginx like a browser; raise OSError if nginx does not answer."""
    context = ssl.create_default_context()
    # Unverified: any certificate must be readable here, also a self-signed one.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(NGINX, timeout=3) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def find_problems(wanted: Wanted, certificate: x509.Certificate) -> list[str]:
    """Messages about problems with the served certificate; empty if there are none."""
    problems = [fault] if wanted.email and (fault := find_mismatch(wanted, certificate)) else []
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if (certificate.not_valid_after_utc - datetime.now(UTC)) / lifetime < MIN_LIFETIME_SHARE:
        problems.append("less than a quarter of its lifetime is left, and it has not been renewed")
    return problems


def find_mismatch(wanted: Wanted, certificate: x509.Certificate) -> str:
    """Why it is not the newest certificate for these settings, or an empty string."""
    if certificate.issuer == certificate.subject:
        return "a self-signed placeholder is served: browsers warn about it"
    if not wanted.chain.exists():
        return "it was issued for other settings; none has been obtained for the current ones"
    newest = x509.load_pem_x509_certificate(wanted.chain.read_bytes())
    if newest.serial_number != certificate.serial_number:
        return f"nginx does not serve the newest one, serial {newest.serial_number:x}, yet; its log says why"
    return ""


def status(wanted: Wanted, certificate: x509.Certificate) -> str:
    issuer, end = certificate.issuer.rfc4514_string(), certificate.not_valid_after_utc
    facts = f"issued by {issuer}, serial {certificate.serial_number:x}, valid until {end:%Y-%m-%d %H:%M} UTC"
    lines = [f"certificate  {', '.join(wanted.names)}: {facts}"]
    lines += [f"WARNING      {fault} (the log says more)" for fault in find_problems(wanted, certificate)]
    if not wanted.email:
        lines.append("self-signed: set DOMAIN and LETSENCRYPT_EMAIL for one that browsers trust")
    return "\n".join(lines)


def main(question: str) -> None:
    wanted = Wanted.from_environment()
    try:
        certificate = fetch_certificate(wanted.names[0])
    except OSError as error:
        sys.exit(f"nginx does not answer: {error}")
    if question == "status":
        print(status(wanted, certificate))
    else:
        sys.exit("; ".join(find_problems(wanted, certificate)) or 0)


if __name__ == "__main__":
    main(sys.argv[1])

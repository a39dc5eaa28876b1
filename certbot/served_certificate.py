"""The certificate that visitors get: `served_certificate.py health` for the engine, `status` for a person."""

import socket
import ssl
import sys
from datetime import UTC, datetime

from cryptography import x509
from keep_certificate import Wanted

NGINX = ("nginx", 8443)
# Below this share of its lifetime a certificate should long have been renewed.
WORRYING_SHARE = 0.25


def served(name: str) -> x509.Certificate:
    """Asked as a visitor asks; raises OSError where nginx does not answer."""
    context = ssl.create_default_context()
    # Whether it can be trusted is the visitor's question; ours is which one it is.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(NGINX, timeout=3) as connection,
        context.wrap_socket(connection, server_hostname=name) as tls,
    ):
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")


def faults(wanted: Wanted, certificate: x509.Certificate) -> list[str]:
    """What a person should know about; nothing where all is well."""
    found = [fault] if wanted.email and (fault := mismatch(wanted, certificate)) else []
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    if (certificate.not_valid_after_utc - datetime.now(UTC)) / lifetime < WORRYING_SHARE:
        found.append("less than a quarter of its lifetime is left, and it has not been renewed")
    return found


def mismatch(wanted: Wanted, certificate: x509.Certificate) -> str:
    """Why it is not the one that was obtained for these settings, or nothing."""
    if certificate.issuer == certificate.subject:
        return "a self-signed placeholder is served: browsers warn of it"
    if not wanted.chain.exists():
        return "it is of other settings; none was obtained with the present ones"
    newest = x509.load_pem_x509_certificate(wanted.chain.read_bytes())
    if newest.serial_number != certificate.serial_number:
        return f"nginx does not serve the newest one yet, with serial {newest.serial_number:x}; its log says why"
    return ""


def status(wanted: Wanted, certificate: x509.Certificate) -> str:
    issuer, end = certificate.issuer.rfc4514_string(), certificate.not_valid_after_utc
    facts = f"issued by {issuer}, serial {certificate.serial_number:x}, valid until {end:%Y-%m-%d %H:%M} UTC"
    lines = [f"certificate  {', '.join(wanted.names)}: {facts}"]
    lines += [f"WARNING      {fault} (make prod-logs says more)" for fault in faults(wanted, certificate)]
    if not wanted.email:
        lines.append("self-signed: `make prod-init DOMAIN=… LETSENCRYPT_EMAIL=…` asks for one that browsers trust")
    return "\n".join(lines)


def main(question: str) -> None:
    wanted = Wanted.from_environment()
    try:
        certificate = served(wanted.names[0])
    except OSError as error:
        sys.exit(f"nginx does not answer: {error}")
    if question == "status":
        print(status(wanted, certificate))
    else:
        sys.exit("; ".join(faults(wanted, certificate)) or 0)


if __name__ == "__main__":
    main(sys.argv[1])

"""The certificate that visitors get: `served_certificate.py health` for the engine, `status` for a person."""

import socket
import ssl
import sys
import time

from cryptography import x509
from keep_certificate import (
    HEARTBEAT,
    WORRYING_SHARE,
    Attempts,
    Wanted,
    described,
    duration,
    listed,
    share_left,
)

NGINX = ("nginx", 8443)
HEARTBEAT_SECONDS = 600  # longer than certbot may take


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
    found = []
    if wanted.email and (fault := mismatch(wanted, certificate)):
        found.append(fault)
    if share_left(certificate) < WORRYING_SHARE:
        found.append("less than a quarter of its lifetime is left, and it has not been renewed")
    return found


def mismatch(wanted: Wanted, certificate: x509.Certificate) -> str:
    """Why it is not the one that was obtained for these settings, or nothing."""
    if is_self_signed(certificate):
        return "a self-signed placeholder is served: browsers warn of it"
    if not wanted.chain.exists():
        return f"it is for {listed(names(certificate))}, and of other settings; none was obtained with the present ones"
    newest = x509.load_pem_x509_certificate(wanted.chain.read_bytes())
    if newest.serial_number != certificate.serial_number:
        return f"nginx does not serve the newest one yet, with serial {newest.serial_number:x}; its log says why"
    return ""


def is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return tuple(sorted(extension.value.get_values_for_type(x509.DNSName)))


def health(wanted: Wanted) -> str:
    """Why this container is not healthy, or nothing."""
    if not HEARTBEAT.exists() or time.time() - HEARTBEAT.stat().st_mtime > HEARTBEAT_SECONDS:
        return "keep_certificate.py has shown no sign of life for 10 minutes"
    return "; ".join(faults(wanted, served(wanted.names[0])))


def status(wanted: Wanted) -> str:
    certificate = served(wanted.names[0])
    lines = [f"certificate  {listed(wanted.names)}: {described(certificate)}"]
    lines += [f"WARNING      {fault}" for fault in faults(wanted, certificate)]
    attempts = Attempts.load(wanted.settings)
    if attempts.failures:
        pause = duration(max(0, attempts.seconds_to_wait()))
        lines.append(f"WARNING      tries that failed: {attempts.failures}, next in {pause}: {attempts.reason}")
    if not wanted.email:
        lines.append("self-signed: `make prod-init DOMAIN=… LETSENCRYPT_EMAIL=…` asks for one that browsers trust")
    return "\n".join(lines)


def main(question: str) -> None:
    wanted = Wanted.from_environment()
    try:
        answer = {"health": health, "status": status}[question](wanted)
    except OSError as error:
        sys.exit(f"nginx does not answer: {error}")
    if question == "status":
        print(answer)
    elif answer:
        sys.exit(answer)


if __name__ == "__main__":
    main(sys.argv[1])

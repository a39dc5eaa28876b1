"""Pebble, Let's Encrypt's ACME server for tests, in the prod tier's own network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trustme
from cryptography import x509

from e2e.site import Site
from e2e.stack import Stack, docker, seconds_until

NAME, ALIAS = "crm.test", "www.crm.test"
# Validation finds the front under each name, and inside the network at its own ports.
OVERLAY = """
services:
  {front}: {{networks: {{frontend: {{aliases: [{names}]}}}}}}
  {service}:
    # Away until COMPOSE_PROFILES says otherwise.
    profiles: [authority]
    image: ghcr.io/letsencrypt/pebble:2.6.0
    command: [-config, /pebble/config.json, -strict=false]
    environment: {{PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0"}}
    volumes: ["./{service}:/pebble:ro"]
    networks: [frontend]
"""
# As the health checks of their images, in a hurry.
FAST = """
services:
  nginx: {healthcheck: {interval: 3s, start_period: 15s}}
  certbot: {healthcheck: {interval: 3s, start_period: 15s}}
"""
FETCH = """
import ssl, sys, urllib.request
trusting = ssl.create_default_context(cafile="/etc/acme-ca.pem")
print(urllib.request.urlopen(sys.argv[1], context=trusting).read().decode())
"""
# Where a program trusts the authority's own certificate.
CLIENTS = {
    "nginx": ["certbot", "python", "-c", FETCH],
    "caddy": ["caddy", "curl", "--silent", "--show-error", "--cacert", "/etc/acme/ca.pem"],
}


class Authority:
    """One Pebble with a root of its own; certificates live for `lifetime` seconds."""

    def __init__(self, stack: Stack, ca: trustme.CA, service: str = "pebble", lifetime: int = 90 * 86400) -> None:
        self.stack, self.service = stack, service
        directory = stack.checkout / service
        directory.mkdir()
        listener = ca.issue_cert(service)
        listener.cert_chain_pems[0].write_to_path(str(directory / "certificate.pem"))
        listener.private_key_pem.write_to_path(str(directory / "key.pem"))
        (directory / "config.json").write_text(json.dumps({"pebble": configuration(lifetime)}))
        stack.overlay(f"{service}.yml", OVERLAY.format(service=service, names=f"{NAME}, {ALIAS}", front=stack.front))

    @property
    def url(self) -> str:
        return f"https://{self.service}:14000/dir"

    def start(self) -> None:
        """Start first: generating keys takes seconds, and a client that comes too early retries after a minute."""
        self.stack.compose("up", "--detach", "--no-recreate", self.service)
        seconds_until(lambda: "Listening on" in self.stack.logs(self.service), 30)

    def root(self) -> str:
        """Return the root certificate that clients must trust; it changes with every start."""
        return self.stack.within(*CLIENTS[self.stack.front], f"https://{self.service}:15000/roots/0")

    def site(self, name: str = NAME) -> Site:
        return Site(name, self.stack.ports["nginx"], self.root())

    def orders(self) -> int:
        return self.stack.logs(self.service).count("POST /order-plz")

    @contextmanager
    def out_of_reach(self) -> Iterator[None]:
        """Pause it: its accounts and root would be lost with its process."""
        network, container = f"{self.stack.project}_frontend", self.stack.container(self.service)
        docker("network", "disconnect", network, container)
        try:
            yield
        finally:
            docker("network", "connect", "--alias", self.service, network, container)


def configuration(lifetime: int) -> dict[str, Any]:
    return {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/pebble/certificate.pem",
        "privateKey": "/pebble/key.pem",
        "httpPort": 8080,
        "tlsPort": 8443,
        "certificateValidityPeriod": lifetime,
    }


def authority(stack: Stack, *, lifetime: int = 90 * 86400, ca: trustme.CA | None = None) -> Authority:
    """A Pebble and a prod tier configured to use it; neither is started."""
    ca = ca or trustme.CA()
    found = Authority(stack, ca, lifetime=lifetime)
    if stack.front == "nginx":
        stack.overlay("fast.yml", FAST)
    stack.environment["COMPOSE_PROFILES"] = "authority"
    bundle = stack.checkout / "acme-ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    stack.make("prod-init", f"DOMAIN={NAME}", "LETSENCRYPT_EMAIL=crm@trade-fair.test")
    add(stack, ACME_DIRECTORY=found.url, ACME_CA_BUNDLE=str(bundle))
    return found


def names(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return sorted(extension.value.get_values_for_type(x509.DNSName))


def add(stack: Stack, **variables: str) -> None:
    """Write the settings into the tier's env file."""
    with stack.env_file.open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in variables.items())

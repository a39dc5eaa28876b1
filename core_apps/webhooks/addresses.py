"""Which addresses a webhook may be sent to: only public ones, so that nobody reads what our own network answers.

The address that was checked is the one that is used. A name may resolve to another one a moment later.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

PORTS = {443, 8443}
NAT64 = ip_network("64:ff9b::/96")  # RFC 6052
Address = IPv4Address | IPv6Address


class AddressError(ValueError):
    """The message says why the URL is refused."""


def check_url(url: str) -> tuple[SplitResult, str]:
    """Return the parts of the URL and an address of its host that may be used. Raises AddressError."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        raise AddressError(_("The port is not a number from 1 to 65535.")) from None
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise AddressError(_("The URL needs a host, and no user name or password."))
    addresses = resolve(parts.hostname, port)
    if all(map(is_allowed_network, addresses)):
        return parts, str(addresses[0])
    if parts.scheme != "https" or port not in PORTS:
        raise AddressError(_("The URL must begin with https:// and have the port 443 or 8443."))
    for address in addresses:
        if not is_public(address):
            raise AddressError(_("%s is not a public address.") % address)
    return parts, str(addresses[0])


def resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressError(_("The host %s does not exist.") % host) from None
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def is_public(address: Address) -> bool:
    """Whether it is global, and every IPv4 address within it, too."""
    return all(
        one.is_global and not (one.is_multicast or one.is_reserved or getattr(one, "is_site_local", False))
        for one in (address, *unpack(address))
    )


def unpack(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address leads to: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return []
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in found if one]


def is_allowed_network(address: Address) -> bool:
    return any(address in network for network in settings.WEBHOOK_NETWORKS)

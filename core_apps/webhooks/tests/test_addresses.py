"""No webhook reaches an address that is not public, however it is written."""

import socket
from ipaddress import ip_address, ip_network

import pytest

from core_apps.webhooks import addresses
from core_apps.webhooks.addresses import AddressError, check_url
from core_apps.webhooks.sending import post

REFUSED = """
https://127.0.0.1/ https://127.1/ https://2130706433/ https://0x7f000001/ https://0177.0.0.1/
https://localhost/ https://0.0.0.0/ https://0/ https://10.0.0.1/ https://10.255.255.255/ https://172.16.0.1/
https://172.31.255.255/ https://192.168.0.1/ https://169.254.169.254/latest/meta-data/ https://169.254.0.1/
https://100.64.0.1/ https://100.127.255.255/ https://192.0.0.1/ https://192.0.2.1/ https://198.18.0.1/
https://198.51.100.1/ https://203.0.113.1/ https://224.0.0.1/ https://239.255.255.255/ https://240.0.0.1/
https://255.255.255.255/ https://[::1]/ https://[::]/ https://[fe80::1]/ https://[fc00::1]/
https://[fd00:ec2::254]/ https://[ff02::1]/ https://[::ffff:127.0.0.1]/ https://[::ffff:10.0.0.1]/
https://[::ffff:a9fe:a9fe]/ https://[64:ff9b::a9fe:a9fe]/ https://[64:ff9b::7f00:1]/ https://[2002:7f00:1::]/
https://[2002:a9fe:a9fe::]/ https://[2001:0:7f00:1::]/ https://[2001:db8::1]/ https://[::7f00:1]/
https://[fec0::1]/ https://[100::1]/
"""
MALFORMED = """
http://93.184.215.14/ ftp://93.184.215.14/ file:///etc/passwd gopher://93.184.215.14/
https://93.184.215.14:22/ https://93.184.215.14:6379/ https://93.184.215.14:99999/ https://user@93.184.215.14/
https://user:pass@93.184.215.14/ https:// https:///path https://nothing.invalid/
"""


@pytest.fixture
def connections(monkeypatch):
    """The addresses that anything has connected to."""
    found = []
    connect = socket.create_connection

    def record(address, *rest):
        found.append(address)
        return connect(address, *rest)

    monkeypatch.setattr(socket, "create_connection", record)
    return found


@pytest.mark.parametrize("url", [*REFUSED.split(), *MALFORMED.split()])
def test_address_that_is_not_public_is_refused_without_a_connection(url, connections):
    with pytest.raises(AddressError):
        post(url, b"{}", {})

    assert connections == []


@pytest.mark.parametrize("url", ["https://93.184.215.14/", "https://[2606:2800:21f:cb07::1]:8443/hook?x=1"])
def test_public_address_is_allowed(url):
    check_url(url)


def test_name_with_one_private_address_is_refused(monkeypatch, connections):
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)

    with pytest.raises(AddressError, match=r"10\.0\.0\.1 is not a public address"):
        post("https://crm.example/", b"{}", {})

    assert connections == []


def test_address_that_was_checked_is_the_one_that_is_used(monkeypatch, settings, connections):
    """The name changes its address between the check and the connection."""
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.9/32")]
    monkeypatch.setattr(addresses, "resolve", lambda *_: [ip_address("127.0.0.9")])

    with pytest.raises(OSError, match="refused"):
        post("http://rebinding.example:9/", b"{}", {})

    assert connections == [("127.0.0.9", 9)]


def test_own_network_that_is_named_is_allowed_without_tls(settings):
    settings.WEBHOOK_NETWORKS = [ip_network("10.1.0.0/16")]

    assert check_url("http://10.1.2.3:5678/hook")[1] == "10.1.2.3"
    with pytest.raises(AddressError):
        check_url("http://10.2.2.3:5678/hook")

import socket
from collections.abc import Callable, Iterator

import psutil
import pytest

from e2e.checkout import Checkout

MEGABYTE = 2**20
HEAD = "POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n"


def upload(port: int, size: int) -> tuple[int, bytes]:
    """Sends until the server stops listening; returns the bytes that it took, its buffers included, and its answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall((HEAD % size).encode())
        sent = 0
        try:
            while sent < size:
                client.sendall(bytes(65536))
                sent += 65536
        except ConnectionError:
            pass
        return sent, client.makefile("rb").read()


def memory_of_gunicorn(checkout: Checkout) -> list[int]:
    """Bytes of each process; a worker may still be on its way when the first one serves."""
    servers = [p for p in psutil.process_iter(["cmdline", "cwd"]) if p.info["cwd"] == str(checkout.path)]
    return [p.memory_info().rss for p in servers if "config.wsgi:application" in p.info["cmdline"]]


@pytest.fixture
def checkout(checkout_of: Callable[[str], Checkout]) -> Iterator[Checkout]:
    """Not the first one, whose very first start is a test of its own."""
    checkout = checkout_of("second")
    yield checkout
    checkout.runs[-1].press_ctrl_c()
    checkout.runs[-1].wait()
    checkout.assert_nothing_runs()


def test_body_of_a_gigabyte_is_refused_before_it_is_taken(checkout: Checkout) -> None:
    run = checkout.make("run")
    run.seconds_to_served()
    before = memory_of_gunicorn(checkout)
    answers = [upload(run.port, 1024 * MEGABYTE) for _ in range(10)]
    after = memory_of_gunicorn(checkout)
    grown = max(after) - max(before)
    taken = max(sent for sent, _ in answers)
    print(f"1 GB: 413 after {taken / MEGABYTE:.1f} MB; 10 grew the largest process by {grown / MEGABYTE:.1f} MB")
    assert {answer.split(b"\r\n")[0] for _, answer in answers} == {b"HTTP/1.1 413 Request Entity Too Large"}
    assert all(b"the limit of 25 MB" in answer for _, answer in answers)
    assert taken < 16 * MEGABYTE
    assert grown < 10 * MEGABYTE

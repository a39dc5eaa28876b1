import socket
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from e2e.checkout import Checkout

MEGABYTE = 2**20
GIGABYTE = 1024 * MEGABYTE
HEAD = "POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n%s\r\n\r\n"
FORM = "multipart/form-data; boundary=x"
PART = bytes(65536)
# What a body of a gigabyte may say of itself, and what it is told.
FALSE_LENGTHS = {
    "Content-Length: 1000": (PART, b"HTTP/1.1 403 Forbidden"),
    "Content-Length: -1": (PART, b"HTTP/1.1 400 Bad Request"),
    "Content-Length: many": (PART, b"HTTP/1.1 400 Bad Request"),
    "Transfer-Encoding: chunked": (b"10000\r\n" + PART + b"\r\n", b"HTTP/1.1 403 Forbidden"),
    "Content-Length: 5\r\nTransfer-Encoding: chunked": (b"10000\r\n" + PART + b"\r\n", b"HTTP/1.1 400 Bad Request"),
}


def upload(port: int, length: str, *, content_type: str = "text/csv", part: bytes = PART) -> tuple[int, bytes]:
    """Send until the server stops reading; return the bytes sent, including buffers, and the response."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall((HEAD % (content_type, length)).encode())
        sent = 0
        try:
            while sent < GIGABYTE:
                client.sendall(part)
                sent += len(part)
        except ConnectionError:
            pass
        return sent, client.makefile("rb").read()


def memory_of_gunicorn(checkout: Checkout) -> list[int]:
    """Return the memory of each process, once all workers have started."""
    servers = [p for p in psutil.process_iter(["cmdline", "cwd"]) if p.info["cwd"] == str(checkout.path)]
    return [p.memory_info().rss for p in servers if "config.wsgi:application" in p.info["cmdline"]]


@pytest.fixture
def checkout(checkout_of: Callable[[str], Checkout]) -> Iterator[Checkout]:
    """A separate checkout: the first one tests the first start."""
    checkout = checkout_of("second")
    yield checkout
    checkout.runs[-1].press_ctrl_c()
    checkout.runs[-1].wait()
    checkout.assert_nothing_runs()


def test_body_of_a_gigabyte_is_refused_before_it_is_taken(checkout: Checkout) -> None:
    run = checkout.make("run")
    run.seconds_to_served()
    before = memory_of_gunicorn(checkout)
    answers = [upload(run.port, f"Content-Length: {GIGABYTE}") for _ in range(10)]
    after = memory_of_gunicorn(checkout)
    grown = max(after) - max(before)
    taken = max(sent for sent, _ in answers)
    print(f"1 GB: 413 after {taken / MEGABYTE:.1f} MB; 10 grew the largest process by {grown / MEGABYTE:.1f} MB")
    assert {answer.split(b"\r\n")[0] for _, answer in answers} == {b"HTTP/1.1 413 Request Entity Too Large"}
    assert all(b"the limit of 25 MB" in answer for _, answer in answers)
    assert taken < 16 * MEGABYTE
    assert grown < 10 * MEGABYTE


def test_body_of_a_false_length_is_not_taken(checkout: Checkout) -> None:
    run = checkout.make("run")
    run.seconds_to_served()
    before = memory_of_gunicorn(checkout)
    for length, (part, status) in FALSE_LENGTHS.items():
        for content_type in ("text/csv", FORM):
            start = time.perf_counter()
            taken, answer = upload(run.port, length, content_type=content_type, part=part)
            seconds = time.perf_counter() - start
            print(f"1 GB with {length!r}, {content_type}: {answer[:12]!r}, {taken / MEGABYTE:.1f} MB, {seconds:.2f} s")
            assert answer.split(b"\r\n")[0] in (status, b"")  # a reset may overtake the answer
            assert taken < 16 * MEGABYTE
            assert seconds < 2
    assert max(memory_of_gunicorn(checkout)) - max(before) < 10 * MEGABYTE

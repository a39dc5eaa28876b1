"""Bodies whose last byte never comes: they may fill neither nginx' buffers nor the queue of uploads."""

import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from e2e.attacks.bystander import Target, undisturbed
from e2e.front_door.front import read, request, statuses
from e2e.front_door.test_limits import push
from e2e.site import ask

# They measure answer times, and other work on the machine would fail them.
pytestmark = pytest.mark.full

CONNECTIONS, SIZE = 12, 24 * 2**20
PHOTO = "/api/v1/customers/00000000-0000-4000-8000-000000000000/photo/"


def connect(target: Target) -> ssl.SSLSocket:
    connection = target.site.connection()
    connection.connect()
    return connection.sock  # type: ignore[no-any-return]


@contextmanager
def held_back(target: Target, *headers: str) -> Iterator[list[bytes]]:
    """Bodies for the login page without their last byte: what the server said to each, before the block."""
    head = request("POST", "/admin/login/", f"Content-Length: {SIZE}", *headers)
    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as threads:
        connections = [stack.enter_context(connect(target)) for _ in range(CONNECTIONS)]
        for connection in connections:
            connection.sendall(head)
        yield list(threads.map(push_slowly, connections))


def push_slowly(connection: ssl.SSLSocket) -> bytes:
    """Send all but the end, at 100 Mbit/s together: faster, the senders would take the processors that they share."""
    for _ in range(SIZE // 2**20 - 1):
        answer, _taken = push(connection, 2**20)
        if answer:
            return answer
        time.sleep(1)
    connection.settimeout(0.5)
    return read(connection)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [((), [[413]] * CONNECTIONS), (("Cookie: sessionid=invented",), [[]] * 8 + [[429]] * (CONNECTIONS - 8))],
    ids=["stranger", "invented session"],
)
def test_bodies_held_back_leave_room_for_uploads(
    target: Target, headers: tuple[str, ...], expected: list[list[int]]
) -> None:
    with undisturbed(target), held_back(target, *headers) as said:
        assert sorted(map(statuses, said)) == expected
        # A stranger takes nobody's room, and an invented session that of its own address.
        answer = ask(target.site, "PUT", PHOTO, target.token("alice"), b"x" * 200_000)
        assert answer.status == (404 if not headers else 429)

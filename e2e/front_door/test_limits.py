"""The limits of one client: attempts, bytes, and time."""

import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from e2e.front_door.front import Front, read, request, statuses
from e2e.load import Load, Request
from e2e.site import ask

LIMIT = 25 * 2**20  # bytes
# What the front takes for a session; Django has the last word.
KNOWN = "Cookie: sessionid=anything"
LOGIN = request("POST", "/admin/login/", "Content-Length: 0")
PIECE = b"x" * 2**16
SLOW_CLIENTS = 500
STORES = {"nginx": "/var/cache/nginx", "caddy": "/tmp"}
# They say something at first, and then every second, for 18 s at most; printed is how long each of them lived.
SLOW = f"""
import asyncio, json, ssl, sys, time
first, drip = (argument.encode().decode("unicode_escape").encode() for argument in sys.argv[1:3])

async def live(start, reader, writer):
    writer.write(first)
    try:
        while time.monotonic() - start < 18:
            writer.write(drip)
            try:
                if not await asyncio.wait_for(reader.read(4096), 1):
                    return time.monotonic() - start
            except TimeoutError:
                pass
    except OSError:
        return time.monotonic() - start

async def main():
    anybody = ssl._create_unverified_context()
    found = [await asyncio.open_connection(sys.argv[3], 8443, ssl=anybody, server_hostname="localhost")
             for _ in range({SLOW_CLIENTS})]
    print("connected", flush=True)
    start = time.monotonic()
    print(json.dumps(await asyncio.gather(*(live(start, *streams) for streams in found))))

asyncio.run(main())
"""
PAGES = [Request("GET", "/admin/login/", 200), Request("GET", "/api/v1/health/", 200)]


def outcomes(said: Sequence[bytes]) -> list[int]:
    return [status for answer in said for status in statuses(answer)]


def test_login_is_limited_for_each_address_by_itself(front: Front) -> None:
    start = time.monotonic()
    said = front.send_from("first", LOGIN, 40)
    seconds, refused = time.monotonic() - start, [answer for answer in said if statuses(answer) == [429]]
    # One at once, the burst, and what a minute's ten make of the time it took.
    assert 40 - 21 - seconds / 6 - 1 <= len(refused) <= 40 - 21
    assert [answer for answer in refused if b"\r\nRetry-After: 10\r\n" not in answer] == []
    assert [answer for answer in refused if b"<h1>Too many requests</h1>" not in answer] == []
    print(f"40 attempts in {seconds:.1f} s: {len(refused)} refused")
    # Six seconds let in one more.
    assert 429 in outcomes(front.send_from("first", LOGIN.replace(b"/admin/login/", b"/admin/password_reset/"), 3))
    assert outcomes(front.send_from("second", LOGIN)) == [403]  # Django's, for want of a CSRF token
    assert outcomes(front.send_from("first", request("GET", "/admin/login/"), 40)) == [200] * 40


@pytest.mark.parametrize(
    "path", ["/admin%2flogin/", "//admin/login/", "/x/../admin/login/", "/admin/./login/?a", "/admin/login/#a"]
)
def test_login_under_another_spelling_is_limited_too(front: Front, path: str) -> None:
    found = outcomes(front.send_from("first", request("POST", path, "Content-Length: 0"), 40))
    assert found.count(429) >= 40 - 21 - 2  # for one who has attempted nothing before, as above


def test_api_is_limited_but_not_its_probes(front: Front) -> None:
    # In one piece: a second lets in twenty more.
    pipelined = (request("GET", "/api/v1/customers/").replace(b"Connection: close\r\n", b"")) * 99
    said = front.send_from("first", pipelined + request("GET", "/api/v1/customers/"))
    found = outcomes(said)
    assert (len(found), set(found)) == (100, {401, 429})
    assert 41 <= found.count(401) <= 99
    refused = next(answer for answer in said if 429 in statuses(answer))
    assert b"\r\nContent-Type: application/problem+json\r\n" in refused
    assert b'"title": "Too Many Requests", "status": 429' in refused
    print(f"100 requests: {found.count(429)} refused")
    assert outcomes(front.send_from("first", request("GET", "/api/v1/health/"), 60)) == [200] * 60


def count_stored_bodies(front: Front) -> int:
    """Return the bytes of bodies that the front stores."""
    return int(front.stack.within(front.stack.front, "du", "-sb", STORES[front.stack.front]).split()[0])


def memory(front: Front) -> int:
    """Return the highest memory use of the front's container so far, in bytes."""
    v1, v2 = "/sys/fs/cgroup/memory/memory.max_usage_in_bytes", "/sys/fs/cgroup/memory.peak"
    return int(front.stack.within(front.stack.front, "sh", "-c", f"cat {v1} 2>/dev/null || cat {v2}"))


def head(*headers: str) -> bytes:
    return request("POST", "/limit/", "Content-Type: application/octet-stream", KNOWN, *headers)


def stranger(*headers: str, path: str = "/limit/") -> bytes:
    """Of somebody who is not logged in."""
    return request("POST", path, *headers)


@contextmanager
def connect(front: Front) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("127.0.0.1", front.site.port), timeout=10)
    with front.site.context.wrap_socket(plain, server_hostname="localhost") as connection:
        yield connection


def push(connection: ssl.SSLSocket, size: int, piece: bytes = PIECE) -> tuple[bytes, int]:
    """Send chunks until the server responds; return the response and the bytes sent."""
    for taken in range(0, size, len(PIECE)):
        connection.settimeout(0.0)
        try:
            return connection.recv(65536), taken
        except ssl.SSLWantReadError:
            connection.settimeout(10)
        try:
            connection.sendall(piece)
        except OSError:  # the response came meanwhile, and Go closes half a second after it
            return connection.recv(65536), taken
    return b"", size


def test_gigabyte_is_refused_before_it_is_kept(front: Front) -> None:
    before, used, start = count_stored_bodies(front), memory(front), time.monotonic()
    with connect(front) as connection:
        connection.sendall(head(f"Content-Length: {2**30}"))
        said, taken = push(connection, 2**30)
    seconds, grown = time.monotonic() - start, memory(front) - used
    print(
        f"1 GB announced: 413 after {seconds:.2f} s and {taken / 2**20:.1f} MB, memory grew by {grown / 2**20:.1f} MB"
    )
    assert statuses(said) == [413]
    # What fits into the buffers of three kernels' ends while the answer is on its way.
    assert (taken <= 2**25, seconds <= 3) == (True, True)
    assert (count_stored_bodies(front), grown <= 20 * 2**20) == (before, True)


def test_body_without_a_length_is_refused_at_the_limit(front: Front) -> None:
    with connect(front) as connection:
        connection.sendall(head("Transfer-Encoding: chunked"))
        said, taken = push(connection, LIMIT, b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
        connection.settimeout(2)
        assert (said or read(connection), taken) == (b"", LIMIT)
        connection.sendall(b"1\r\nx\r\n")
        assert statuses(read(connection)) == [413]
    assert count_stored_bodies(front) < 2**20


def test_body_of_the_limit_passes_and_a_byte_more_does_not(front: Front) -> None:
    watch = front.watch()
    headers = {"Content-Type": "application/octet-stream", "Cookie": "sessionid=anything"}
    answers = [ask(front.site, "POST", "/limit/", headers, b"x" * size) for size in (LIMIT, LIMIT + 1)]
    assert [answer.status for answer in answers] == [404, 413]
    assert [(line["path"], line["status"]) for line in watch.requests("web")] == [("/limit/", 404)]
    assert [(line["method"], line["status"]) for line in watch.requests("front")] == [("POST", 404), ("POST", 413)]


@pytest.mark.parametrize("path", ["/admin/login/", "/api/v1/customers/"])
def test_stranger_sends_no_more_than_a_form(front: Front, path: str) -> None:
    with connect(front) as connection:
        connection.sendall(stranger("Content-Length: 66000", path=path))
        said = read(connection)
    assert (statuses(said), b"accepts 64 KB" in said) == ([413], True)
    body = "x" * 65_999
    said = front.converse(request("POST", path, f"Content-Length: {len(body)}", body=body))
    assert statuses(said) == [401 if "api" in path else 403]


@pytest.mark.parametrize(("size", "expected"), [(3 * 2**20, 404), (3 * 2**20 + 1, 413)])
def test_event_of_whatsapp_has_three_megabytes_at_most(front: Front, size: int, expected: int) -> None:
    """Without an account; web knows no such address."""
    with connect(front) as connection:
        connection.sendall(stranger(f"Content-Length: {size}", path="/whatsapp/"))
        said, _ = push(connection, len(PIECE), b"x" * size)
        assert statuses(said or read(connection)) == [expected]


def test_body_without_a_length_of_a_stranger_is_cut_off(front: Front) -> None:
    with connect(front) as connection:
        connection.sendall(stranger("Transfer-Encoding: chunked"))
        said, taken = push(connection, 4 * len(PIECE), b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
        said += read(connection)
    assert (statuses(said), taken <= 4 * len(PIECE)) == ([413], True)


def test_address_has_eight_uploads_at_once(front: Front) -> None:
    with ExitStack() as stack:
        uploads = [stack.enter_context(connect(front)) for _ in range(9)]
        for upload in uploads:
            upload.sendall(head("Content-Length: 1000000") + b"x")
        said = [read_until_silent(upload) for upload in uploads]
        assert sorted(map(statuses, said)) == [[], [], [], [], [], [], [], [], [429]]
        refused = next(answer for answer in said if answer)
        assert b"more uploads at once, than Exhibition CRM allows" in refused
        # Small ones are not counted, nor are those of others.
        assert statuses(front.converse(head("Content-Length: 1") + b"x")) == [404]
        of_another = front.send_from("first", head("Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n")
        assert outcomes(of_another) == [404]


def read_until_silent(connection: ssl.SSLSocket) -> bytes:
    connection.settimeout(1)
    return read(connection)


def p95(load: Load) -> float:
    seconds = sorted(sample.seconds for sample in load.samples)
    return seconds[int(0.95 * len(seconds))]


@contextmanager
def slow_clients(front: Front, first: str, drip: str) -> Iterator[list[float | None]]:
    """Run slow clients in a container; the lifetimes of their connections are known after the block."""
    command = ["docker", "exec", front.stack.container("first"), "python", "-c", SLOW, first, drip]
    command.append(front.stack.front)
    lives: list[float | None] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
        assert clients.stdout
        assert clients.stdout.readline() == "connected\n"
        yield lives
        lives += json.loads(clients.stdout.read())


BODY = r"POST /slow/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "drip", "are_cut"),
    [
        (r"GET /slow/ HTTP/1.1\r\nHost: localhost\r\n", r"X-Slow: a\r\n", True),
        (BODY, "", True),
        (BODY, "a", False),  # nginx has no least speed of a body; it costs a connection, and no thread of web
    ],
    ids=["headers", "silent bodies", "bodies"],
)
def test_slow_clients_hurt_nobody(front: Front, first: str, drip: str, are_cut: bool) -> None:
    # A machine that is busy with something else in one of the two moments has two more chances.
    ratios: list[float] = []
    while not ratios or (ratios[-1] > 2 and len(ratios) < 3):
        with Load(front.site, PAGES, rate=20, count=120) as before:
            pass
        with slow_clients(front, first, drip) as lives, Load(front.site, PAGES, rate=20, count=160) as load:
            pass
        print(f"before: {before.report()}, p95 {1000 * p95(before):.0f} ms")
        print(f"with {SLOW_CLIENTS} slow clients: {load.report()}, p95 {1000 * p95(load):.0f} ms")
        ratios.append(p95(load) / p95(before))
    cut = [seconds for seconds in lives if seconds is not None]
    print(f"{len(cut)} of {len(lives)} were cut, after {min(cut, default=0):.1f} to {max(cut, default=0):.1f} s")
    assert (before.failures, load.failures, ratios[-1] <= 2) == ([], [], True)
    assert (len(cut), max(cut, default=0) <= 16) == (SLOW_CLIENTS if are_cut else 0, True)


def test_nothing_of_it_is_left(front: Front) -> None:
    assert re.findall(r"\[(?:alert|crit|emerg)\].*", front.stack.logs(front.stack.front)) == []
    assert front.stack.inspect(front.stack.front)["RestartCount"] == 0
    assert count_stored_bodies(front) < 2**20

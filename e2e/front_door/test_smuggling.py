"""Ambiguous requests (smuggling): Django receives exactly the requests that were sent."""

import json

import pytest

from e2e.front_door.front import Front, lines, request, statuses

HIDDEN = b"GET /hidden/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ENDED = b"0\r\n\r\n"


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /sent/ HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + body


def length(value: bytes) -> bytes:
    return b"Content-Length: " + value + b"\r\n"


WHOLE = b"%d" % len(ENDED + HIDDEN)
WITHOUT_CHUNKS = b"%d" % len(HIDDEN)
# What is sent, and the paths that web sees of it. The request that follows is seen where these were understood; what
# was not ends the connection.
FORMS: dict[str, tuple[bytes, list[str]]] = {
    "CL.TE": (post(length(WHOLE) + CHUNKED, ENDED + HIDDEN), []),
    "TE.CL": (post(CHUNKED + length(b"4"), b"2c\r\n" + HIDDEN + b"\r\n" + ENDED), []),
    "TE.TE, second unknown": (post(CHUNKED + b"Transfer-Encoding: x\r\n" + length(WHOLE), ENDED + HIDDEN), []),
    "TE of two codings": (post(b"Transfer-Encoding: gzip, chunked\r\n", ENDED + HIDDEN), []),
    "TE xchunked": (post(b"Transfer-Encoding: xchunked\r\n" + length(WHOLE), ENDED + HIDDEN), []),
    "TE with a tab": (post(b"Transfer-Encoding:\tchunked\r\n" + length(WHOLE), ENDED + HIDDEN), []),
    "TE with a space before the colon": (post(b"Transfer-Encoding : chunked\r\n" + length(WHOLE), ENDED + HIDDEN), []),
    "TE after a bare CR": (post(b"A: b\rTransfer-Encoding: chunked\r\n" + length(WHOLE), ENDED + HIDDEN), []),
    "TE folded": (post(b"Transfer-Encoding:\r\n chunked\r\n" + length(WHOLE), ENDED + HIDDEN), []),
    "TE in HTTP/1.0": (post(CHUNKED, ENDED + HIDDEN).replace(b"HTTP/1.1", b"HTTP/1.0", 1), []),
    "two lengths": (post(length(b"0") + length(WHOLE), ENDED + HIDDEN), []),
    "two equal lengths": (post(length(WHOLE) * 2, ENDED + HIDDEN), []),
    "list of lengths": (post(length(WHOLE + b", 0"), ENDED + HIDDEN), []),
    "length +5": (post(length(b"+5"), ENDED + HIDDEN), []),
    "length 0x5": (post(length(b"0x5"), ENDED + HIDDEN), []),
    "negative length": (post(length(b"-1"), ENDED + HIDDEN), []),
    "length with a space within": (post(length(b"5 0"), ENDED + HIDDEN), []),
    "endless length": (post(length(b"9" * 30), HIDDEN), []),
    "bare LF": (b"POST /sent/ HTTP/1.1\nHost: localhost\nContent-Length: 5\n\n" + ENDED, ["/sent/"]),
    "NUL in a value": (post(b"A: b\0c\r\n" + length(b"5"), ENDED), []),
    "NUL in a name": (post(b"A\0: b\r\n" + length(b"5"), ENDED), []),
    "CR in a name": (post(b"Content\r-Length: 5\r\n", HIDDEN), []),
    "chunk extension": (post(CHUNKED, b"1;a=b\r\nx\r\n" + ENDED), ["/sent/"]),
    "chunk extension with a bare LF": (post(CHUNKED, b"1;a\nx\r\n" + ENDED), []),
    "chunk of -1": (post(CHUNKED, b"-1\r\nx\r\n" + ENDED + HIDDEN), []),
    "chunk of 2^64 + 1": (post(CHUNKED, b"10000000000000001\r\nx\r\n" + ENDED + HIDDEN), []),
    "chunk of 0x1": (post(CHUNKED, b"0x1\r\nx\r\n" + ENDED + HIDDEN), []),
    "chunk without its end": (post(CHUNKED, b"1\r\nxx" + ENDED + HIDDEN), []),
    "chunk longer than its size": (post(CHUNKED, b"1\r\n" + HIDDEN + ENDED), []),
    "trailers": (post(CHUNKED, b"1\r\nx\r\n0\r\nHost: other\r\nContent-Length: 9\r\n\r\n"), ["/sent/"]),
    "HTTP/0.9": (b"GET /sent/\r\n", []),
    "HTTP/1.1 in lower case": (b"GET /sent/ http/1.1\r\nHost: localhost\r\n\r\n", []),
    "two versions": (b"GET /sent/ HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n", []),
    "line break in the path": (b"GET /sent/\r\nX: y HTTP/1.1\r\nHost: localhost\r\n\r\n", []),
    "body of a GET": (
        b"GET /sent/ HTTP/1.1\r\nHost: localhost\r\n" + length(WITHOUT_CHUNKS) + b"\r\n" + HIDDEN,
        ["/sent/"],
    ),
    "upgrade to h2c": (
        post(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"),
        ["/sent/"],
    ),
    "upgrade to websocket": (post(b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + length(b"0")), ["/sent/"]),
    "Connection names Content-Length": (
        post(b"Connection: Content-Length\r\n" + length(WITHOUT_CHUNKS), HIDDEN),
        ["/sent/"],
    ),
    "Expect": (post(b"Expect: 100-continue\r\n" + length(WITHOUT_CHUNKS), HIDDEN), ["/sent/"]),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, []),
}


@pytest.mark.parametrize("form", FORMS)
def test_request_of_two_readings_hides_no_other(front: Front, form: str) -> None:
    sent, seen = FORMS[form]
    watch = front.watch()
    said = front.converse(sent + request("GET", "/after/"), patience=2)
    print(f"{form}: {statuses(said)}")
    found = watch.paths("web")
    assert found == ([*seen, "/after/"] if seen else [])
    answered = [status for status in statuses(said) if status != 100]
    assert [status for status in answered if status >= 500] == []
    assert answered[: len(found)] == [404] * len(found)
    assert watch.front.get("/admin/login/").status == 200


STRANGERS = {
    "another host": request("GET", "/sent/", host="evil.test"),
    "host and user": request("GET", "/sent/", host="localhost@evil.test"),
    "IP as host": request("GET", "/sent/", host="127.0.0.1"),
    "IPv6 as host": request("GET", "/sent/", host="[::1]"),
    "service as host": request("GET", "/sent/", host="web:8000"),
    "empty host": request("GET", "/sent/", host=""),
    "no host": b"GET /sent/ HTTP/1.1\r\n\r\n",
    "HTTP/1.0 without a host": b"GET /sent/ HTTP/1.0\r\n\r\n",
    "two hosts": request("GET", "/sent/", "Host: evil.test"),
    "same host twice": request("GET", "/sent/", "Host: localhost"),
    "list of hosts": request("GET", "/sent/", host="localhost, evil.test"),
    "port 99999": request("GET", "/sent/", host="localhost:99999"),
    "another port": request("GET", "/sent/", host="localhost:8000"),
    "port that is none": request("GET", "/sent/", host="localhost:evil.test"),
    "another host in the address": request("GET", "https://evil.test/sent/"),
    "another host beside the address": request("GET", "https://localhost/sent/", host="evil.test"),
    "ending that matches": request("GET", "/sent/", host="evil-localhost"),
    "host with a line break": request("GET", "/sent/", host="localhost\r\n evil.test"),
    "host with NUL": request("GET", "/sent/", host="localhost\0evil.test"),
}


@pytest.mark.parametrize("form", STRANGERS)
def test_stranger_does_not_reach_django(front: Front, form: str) -> None:
    watch = front.watch()
    found = statuses(front.converse(STRANGERS[form], patience=2))
    print(f"{form}: {found or 'closed'}")
    assert found in ([], [400], [421])
    assert watch.paths("web") == []


@pytest.mark.parametrize("name", ["evil.test", "127.0.0.1", None])
def test_unknown_name_in_the_handshake_is_refused(front: Front, name: str | None) -> None:
    with pytest.raises(OSError, match="UNRECOGNIZED_NAME"):
        front.converse(request("GET", "/sent/"), name)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "localhost:443", "localhost:{port}"])
def test_host_is_known_in_each_of_its_spellings(front: Front, host: str) -> None:
    watch = front.watch()
    assert statuses(front.converse(request("GET", "/sent/", host=host.format(port=front.site.port)))) == [404]
    assert watch.paths("web") == ["/sent/"]


def test_attempts_leave_no_trouble(front: Front) -> None:
    assert [front.stack.inspect(service)["RestartCount"] for service in (front.stack.front, "web")] == [0, 0]
    logged = [json.loads(line) for line in lines(front.stack, front.stack.front)]
    from_django = [json.loads(line) for line in lines(front.stack, "web")]
    assert [line for line in from_django if line.get("path") == "/sent/" and line["status"] >= 500] == []
    assert [line for line in logged if line.get("status", 0) >= 500] == []
    print(f"{len(logged)} requests logged, none of them with a 5xx")

"""Spoofed headers: address, scheme and log entries are those that the front has seen."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import pytest

from e2e.front_door.front import Front, docker_logs, request, statuses
from e2e.site import ask
from e2e.stack import ADMINISTRATOR, docker, seconds_until

STRANGER = "203.0.113.7"
FORGED = {
    "X-Forwarded-For": [f"X-Forwarded-For: {STRANGER}"],
    "X-Forwarded-For twice": [f"X-Forwarded-For: {STRANGER}", "X-Forwarded-For: 127.0.0.1"],
    "X-Forwarded-For with a list": [f"X-Forwarded-For: {STRANGER}, 127.0.0.1"],
    "X-Real-IP": [f"X-Real-IP: {STRANGER}", f"True-Client-IP: {STRANGER}", f"CF-Connecting-IP: {STRANGER}"],
    "Forwarded": [f"Forwarded: for={STRANGER};host=evil.test;proto=http"],
    "X-Forwarded-Proto": ["X-Forwarded-Proto: http"],
    "X-Forwarded-Proto twice": ["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"],
    "contradicting schemes": ["X-Forwarded-Protocol: http", "X-Forwarded-Ssl: off", "Front-End-Https: off"],
    "X-Forwarded-Host": ["X-Forwarded-Host: evil.test", "X-Host: evil.test", "X-Forwarded-Server: evil.test"],
    "X-Forwarded-Port": ["X-Forwarded-Port: 80"],
    "X-Forwarded-Prefix": ["X-Forwarded-Prefix: /evil", "X-Script-Name: /evil", "Script-Name: /evil"],
    "underscored address": [f"X_Forwarded_For: {STRANGER}", f"REMOTE_ADDR: {STRANGER}"],
    "underscored scheme": ["X_FORWARDED_PROTO: http", "wsgi.url_scheme: http"],
    "underscored host": ["X_FORWARDED_HOST: evil.test", "HTTP_HOST: evil.test", "SERVER_NAME: evil.test"],
    "SCRIPT_NAME": ["SCRIPT_NAME: /evil", "PATH_INFO: /evil/"],
    "X-Original-URL": ["X-Original-URL: /evil/", "X-Rewrite-URL: /evil/", "X-Accel-Redirect: /protected-media/a"],
    "X-Request-Id": ["X-Request-Id: forged-by-a-client"],
    "Proxy": ["Proxy: http://evil.test/"],
}
# Headers of other software, which neither Gunicorn nor Django asks for: they pass, as any unknown one.
NOT_BELIEVED = {
    "True-Client-IP": STRANGER,
    "CF-Connecting-IP": STRANGER,
    "Front-End-Https": "off",
    "X-Host": "evil.test",
    "X-Script-Name": "/evil",
    "Script-Name": "/evil",
    "X-Original-URL": "/evil/",
    "X-Rewrite-URL": "/evil/",
    "X-Accel-Redirect": "/protected-media/a",
}
# Stands in for web, and prints the headers that it is given.
ECHO = """
import http.server, json
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(json.dumps(sorted(self.headers.items())), flush=True)
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("", 8000), Echo).serve_forever()
"""
FIELDS = [
    *("time", "logger", "request_id", "client", "method", "host", "path", "status", "bytes", "seconds"),
    *("web_status", "web_seconds", "protocol", "tls", "user_agent"),
]


@pytest.fixture(scope="module")
def front(front: Front) -> Front:
    front.stack.create_administrator()
    return front


def reset_links(front: Front) -> list[str]:
    return re.findall(r"\S+/reset/\S+", re.sub(r"^\{.*", "", docker_logs(front.stack, "celery-worker"), flags=re.M))


def ask_for_reset(front: Front, headers: list[str]) -> bytes:
    """Log in from the second container, with the page's cookie and token."""
    (page,) = front.send_from("second", request("GET", "/admin/password_reset/", *headers))
    token = re.findall(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
    (cookie,) = re.findall(rb"\r\nset-cookie: (csrftoken=\w+);[^\r]* Secure\r\n", page, re.I)
    form = urlencode({"csrfmiddlewaretoken": token.decode(), "email": ADMINISTRATOR})
    own = [f"Cookie: {cookie.decode()}", "Origin: https://localhost", f"Content-Length: {len(form)}"]
    own += ["Content-Type: application/x-www-form-urlencoded", *headers]
    (answer,) = front.send_from("second", request("POST", "/admin/password_reset/", *own, body=form))
    return answer


@pytest.mark.parametrize("forged", FORGED)
def test_forged_header_changes_nothing(front: Front, forged: str) -> None:
    watch, links = front.watch(), reset_links(front)
    answer = ask_for_reset(front, FORGED[forged])
    assert statuses(answer) == [302]
    assert b"\r\nLocation: /admin/password_reset/done/\r\n" in answer
    attempts = front.send_from("first", request("POST", "/admin/login/", "Content-Length: 0", *FORGED[forged]), 25)
    refused = [attempt for attempt in attempts if statuses(attempt) == [429]]
    # Caddy has no limit of rates.
    assert len(refused) >= (25 - 21 - 1 if front.stack.front == "nginx" else 0)
    # A worker sends the mail.
    seconds_until(lambda: len(reset_links(front)) > len(links), 20)
    (link,) = reset_links(front)[len(links) :]
    assert link.startswith("https://localhost/reset/")
    seen = watch.requests("front")
    assert Counter(line["client"] for line in seen) == {front.addresses["second"]: 2, front.addresses["first"]: 25}
    assert {line["host"] for line in seen} == {"localhost"}
    passed = [line["request_id"] for line in seen if line["status"] != 429]
    assert [line["request_id"] for line in watch.requests("web")] == passed
    assert "forged-by-a-client" not in passed
    print(f"{forged}: {len(refused)} of 25 attempts refused; {link[:40]}")


def test_site_on_a_port_of_its_own_accepts_forms_and_names_the_port(front: Front) -> None:
    links, here = reset_links(front), f"localhost:{front.site.port}"
    page = front.get("/admin/password_reset/", {"Host": here})
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]
    headers = {"Host": here, "Origin": f"https://{here}", "Cookie": page.headers["Set-Cookie"].partition(";")[0]}
    form = urlencode({"csrfmiddlewaretoken": token, "email": ADMINISTRATOR}).encode()
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    assert front.post("/admin/password_reset/", headers, form).status == 302
    # A worker sends the mail.
    seconds_until(lambda: len(reset_links(front)) > len(links), 20)
    (link,) = reset_links(front)[len(links) :]
    assert link.startswith(f"https://{here}/reset/")


@contextmanager
def another_machine(number: int) -> Iterator[tuple[str, str]]:
    """Create a network namespace connected to this machine; yield its name and this machine's address."""
    name, near, far = f"e2e-{number}", f"e2e{number}a", f"e2e{number}b"
    here, there = f"198.18.{number}.1", f"198.18.{number}.2"
    ip("netns", "add", name)
    try:
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        ip("address", "add", f"{here}/30", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", name, "address", "add", f"{there}/30", "dev", far)
        ip("-n", name, "link", "set", far, "up")
        ip("-n", name, "route", "add", "default", "via", here)
        yield name, here
    finally:
        ip("netns", "delete", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="only root can make a network namespace")
def test_machine_outside_is_known_by_its_own_address(front: Front) -> None:
    watch, number = front.watch(), secrets.randbelow(250)
    with another_machine(number) as (name, here):
        dial = f"socket.create_connection(('{here}', {front.site.port}), 10)"
        ask_there = f"c = ssl._create_unverified_context().wrap_socket({dial}, server_hostname='localhost')"
        ask_there = f"import socket, ssl; {ask_there}; c.sendall({request('GET', '/outside/')!r}); c.recv(9)"
        ip("netns", "exec", name, sys.executable, "-c", ask_there)
    assert [(line["path"], line["client"]) for line in watch.requests("front")] == [("/outside/", f"198.18.{number}.2")]
    print(f"a machine outside is logged as 198.18.{number}.2, which it is")


def test_scheme_of_port_80_is_not_believed(front: Front) -> None:
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on"}
    assert ask(front.stack.ports["http"], "GET", "/admin/login/", headers).status == 301


@contextmanager
def echo(front: Front) -> Iterator[str]:
    """Replace web by another container; yield its name."""
    name, network = f"{front.stack.project}-echo", f"{front.stack.project}_frontend"
    front.stack.compose("stop", "web")
    place = ["--name", name, "--network", network, "--network-alias", "web", "--init", front.stack.image]
    docker(
        "run", "--detach", "--label", f"com.docker.compose.project={front.stack.project}", *place, "python", "-c", ECHO
    )
    yield name
    docker("rm", "--force", name)
    front.stack.compose("start", "web")
    front.stack.wait_to_be("healthy", "web")


def test_web_is_told_what_the_front_knows_and_nothing_else(front: Front) -> None:
    everything = [header for headers in FORGED.values() for header in headers]
    with echo(front) as name:
        seconds_until(lambda: statuses(front.send_from("first", request("GET", "/"))[0]) == [204], 10)
        front.send_from("first", request("GET", "/", *everything))
        # Not the health check of the container itself.
        told = [
            headers
            for line in docker("logs", name).splitlines()
            if "X-Request-Id" in (headers := dict(json.loads(line)))
        ][-1]
    request_id = told.pop("X-Request-Id")
    assert re.fullmatch("[0-9a-f-]{32,36}", request_id)
    expected = {
        "Host": "localhost",
        "Connection": "close",
        "X-Forwarded-For": front.addresses["first"],
        "X-Forwarded-Proto": "https",
        **NOT_BELIEVED,
    }
    assert {name.lower(): value for name, value in told.items()} == {
        name.lower(): value for name, value in expected.items()
    }


def sent_by_proxy(front: Front, visitor: str, *forwarded: str, times: int = 1) -> list[int]:
    headers = [f"X-Forwarded-For: {addresses}" for addresses in forwarded]
    said = front.send_from(visitor, request("POST", "/admin/login/", "Content-Length: 0", *headers), times)
    return [status for answer in said for status in statuses(answer)]


def test_configured_proxy_is_believed_and_nobody_else(front: Front) -> None:
    first, second = front.addresses["first"], front.addresses["second"]
    front.recreate(TRUSTED_PROXIES=f"{first},2001:db8::/32")
    watch = front.watch()
    sent_by_proxy(front, "first", STRANGER)
    sent_by_proxy(front, "first", f"198.51.100.1, {STRANGER}")
    sent_by_proxy(front, "first", f"198.51.100.1, {STRANGER}, {first}")
    sent_by_proxy(front, "first", "198.51.100.1", STRANGER)
    sent_by_proxy(front, "first", "nonsense")
    sent_by_proxy(front, "first")
    sent_by_proxy(front, "second", STRANGER)
    assert [line["client"] for line in watch.requests("front")] == [STRANGER] * 4 + [first, first, second]


def test_limit_is_of_the_address_that_a_configured_proxy_names(front: Front) -> None:
    front.recreate(TRUSTED_PROXIES=front.addresses["first"])
    found = sent_by_proxy(front, "first", STRANGER, times=40)
    assert found.count(429) >= 40 - 21 - 2
    assert sent_by_proxy(front, "first", "203.0.113.8") == [403]


def test_line_is_one_object_whatever_the_client_sends(front: Front) -> None:
    watch = front.watch()
    agents = [
        b"plain",
        b'quote " and \\',
        b"escape \x1b[31m",
        b"C1 \xc2\x9b31m",
        b"no UTF-8 \xff\xfe",
        b"\xe2\x80\xa8",
        b"a\tb",
    ]
    for number, agent in enumerate(agents):
        path = f"/line/{number}" + quote(b"\r\n{}\x1b[2J\xff")
        front.converse(request("GET", path, "User-Agent: AGENT").replace(b"AGENT", agent))
    front.converse(request("GET", "/line/\xe2\x80\xa8", host="evil\xe2\x80\xa8.test"))
    *seen, stranger = watch.requests("front")
    assert (stranger["status"], stranger["path"]) == (400, "/line/")
    assert [line["path"][:7] for line in seen] == [f"/line/{number}" for number in range(len(agents))]
    assert [list(line) for line in seen] == [FIELDS] * len(agents)
    assert [line["user_agent"] for line in seen] == [re.split(rb"[^\t -~\x1b]", agent)[0].decode() for agent in agents]
    assert {(line["method"], line["protocol"], line["tls"]) for line in seen} == {("GET", "HTTP/1.1", "TLSv1.3")}
    # What reached Django is there under the same id.
    passed = [line["request_id"] for line in watch.requests("web")]
    assert passed == [line["request_id"] for line in seen if line["status"] == 404]
    print(f"{len(agents)} odd clients: {len(seen)} lines, {len(passed)} of them Django's too")


def test_every_line_is_an_object_with_time_in_utc(front: Front) -> None:
    logged = [json.loads(line) for line in docker_logs(front.stack, front.stack.front).splitlines()]
    assert [line for line in logged if not re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+(\+00:00|Z)", line["time"])] == []
    requests = [line for line in logged if line["logger"] == "nginx.access"]
    assert {(type(line["status"]), type(line["seconds"]), len(line["request_id"])) for line in requests} == {
        (int, float, 32)
    }
    print(f"{len(logged)} lines, all of them objects, {len(requests)} of them requests")


def test_line_of_django_has_the_same_request_id(front: Front) -> None:
    watch, answer = front.watch(), front.get("/admin/login/")
    (of_front,), (of_django,) = watch.requests("front"), watch.requests("web")
    assert of_front["request_id"] == of_django["request_id"] == answer.headers["X-Request-Id"]
    assert (of_front["status"], of_front.get("web_status", "200"), of_front["method"]) == (200, "200", "GET")


def test_secrets_of_an_address_and_probes_are_not_logged(front: Front) -> None:
    watch = front.watch()
    paths = (
        "/reset/MQ/geheim-1/",
        "/reset/MQ/geheim-2",
        "//reset/MQ/geheim-3/?a=b",
        "/admin/?q=geheim-4",
    )
    for path in (*paths, "/api/v1/health/", "/health/", "/api/v1/ready/", "/x/health/"):
        front.converse(request("GET", path, "Referer: https://localhost/reset/MQ/geheim-6/"))
    front.stack.compose("stop", "web")
    assert front.get("/reset/MQ/geheim-7/?q=geheim-8", {"Referer": "geheim-9"}).status == 503
    front.stack.compose("start", "web")
    front.stack.wait_to_be("healthy", "web")
    reset = "/reset/MQ/[redacted]"
    assert watch.paths("front") == [reset, reset, f"/{reset}", "/admin/", "/x/health/", reset]
    assert re.findall("geheim.*", docker_logs(front.stack, front.stack.front)) == []
    assert re.findall("geheim-[^23].*", docker_logs(front.stack, "web")) == []


def test_fragment_that_no_browser_sends_is_not_logged(front: Front) -> None:
    watch = front.watch()
    front.converse(request("GET", "/a#geheim-5"))
    assert (watch.paths("front"), watch.paths("web")) == (["/a"], ["/a"])
    assert "geheim-5" not in docker_logs(front.stack, front.stack.front) + docker_logs(front.stack, "web")

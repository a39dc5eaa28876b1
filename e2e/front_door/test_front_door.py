"""The headers that the front adds to responses, and the files that it serves."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from e2e.front_door.front import Front, request, statuses
from e2e.site import Answer, ask
from e2e.stack import DATABASE, Stack

POLICY_OF_FRONT = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
POLICY_OF_DJANGO = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
POLICY_OF_MEDIA = "default-src 'none'; sandbox"
HSTS = "max-age=63072000; includeSubDomains"
HEADERS = {
    "X-Content-Type-Options": ["nosniff"],
    "X-Frame-Options": ["DENY"],
    "Referrer-Policy": ["same-origin"],
    "Cross-Origin-Opener-Policy": ["same-origin"],
    "Permissions-Policy": ["camera=(), geolocation=(), microphone=(), payment=(), usb=()"],
}
# Prints a session's key and the name of a photo that its owner may see; of a type that is told by its name alone.
PEOPLE = """
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from core_apps.accounts.models import User
from customers.models import Customer
client = Client()
client.force_login(User.objects.create_superuser("alice@trade-fair.test", "correct horse battery", name="Alice"))
photo = default_storage.save("photos/ada.png", ContentFile(b"a photo of Ada"))
Customer.objects.bulk_create([Customer(family_name="Lovelace")])
Customer.objects.update(photo=photo)
print(client.cookies["sessionid"].value, photo)
"""
LIMIT = 25 * 2**20  # bytes


@pytest.fixture(scope="module")
def people(front: Front) -> list[str]:
    return front.stack.within("web", "python", "manage.py", "shell", "--no-imports", "-c", PEOPLE).split()


@pytest.fixture(scope="module")
def session(people: list[str]) -> dict[str, str]:
    return {"Cookie": f"sessionid={people[0]}"}


@pytest.fixture(scope="module")
def photo(people: list[str]) -> str:
    return people[1]


@pytest.fixture(scope="module")
def stylesheet(front: Front) -> str:
    (found, *_) = re.findall(r"/static/admin/css/base\.[0-9a-f]{12}\.css", front.get("/admin/login/").text)
    return str(found)


def get_security_headers(answer: Answer) -> dict[str, list[str]]:
    """Return the security headers with all their values, ignoring the order of a policy's directives."""
    names = ["Strict-Transport-Security", "Content-Security-Policy", "Cross-Origin-Resource-Policy", *HEADERS]
    found = {name: answer.headers.get_all(name, []) for name in names}
    return found | {"Content-Security-Policy": list(map(in_order, found["Content-Security-Policy"]))}


def in_order(policy: str) -> str:
    return "; ".join(sorted(policy.split("; ")))


def expect_headers(policy: str, hsts: str = HSTS, path: str = "/") -> dict[str, list[str]]:
    # A CDN may pass on static files.
    resource = "cross-origin" if path.startswith("/static/") else "same-origin"
    return HEADERS | {
        "Cross-Origin-Resource-Policy": [resource],
        "Strict-Transport-Security": [hsts] if hsts else [],
        "Content-Security-Policy": [in_order(policy)],
    }


def outcome(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("path", "status", "policy"),
    [
        ("/admin/login/", 200, POLICY_OF_DJANGO),
        ("/", 302, POLICY_OF_DJANGO),
        ("/nothing/", 404, POLICY_OF_DJANGO),
        ("/api/v1/health/", 200, POLICY_OF_FRONT),
        ("/static/nothing.css", 404, POLICY_OF_FRONT),
    ],
)
def test_answer_has_every_header_once(front: Front, path: str, status: int, policy: str) -> None:
    answer = front.get(path)
    assert (answer.status, get_security_headers(answer)) == (status, expect_headers(policy, path=path))


def test_redirect_of_port_80_has_every_header_but_hsts(front: Front) -> None:
    answer = ask(front.stack.ports["http"], "GET", "/admin/?q=a", {"Host": "localhost"})
    assert (answer.status, answer.headers["Location"]) == (301, f"https://localhost:{front.site.port}/admin/?q=a")
    assert get_security_headers(answer) == expect_headers(POLICY_OF_FRONT, hsts="")


def test_stylesheet_has_every_header_and_never_changes(front: Front, stylesheet: str) -> None:
    watch, answer = front.watch(), front.get(stylesheet)
    expected = expect_headers(POLICY_OF_FRONT, path=stylesheet)
    assert (answer.status, get_security_headers(answer)) == (200, expected)
    assert answer.headers.get_all("Cache-Control") == ["max-age=315360000, public, immutable"]
    unchanged = front.get(stylesheet, {"If-None-Match": answer.headers["ETag"]})
    assert (unchanged.status, get_security_headers(unchanged)) == (304, expected)
    assert front.get("/static/nothing.css").headers.get_all("Cache-Control") == ["no-store"]
    assert watch.paths("web") == []


def test_photo_comes_from_the_front_after_django_was_asked(front: Front, session: dict[str, str], photo: str) -> None:
    watch, answer = front.watch(), front.get(f"/media/{photo}", session)
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"a photo of Ada", "image/png")
    assert get_security_headers(answer) == expect_headers(POLICY_OF_MEDIA)
    assert answer.headers.get_all("Cache-Control") == ["private, max-age=3600"]
    assert answer.headers["X-Accel-Redirect"] is None
    assert watch.paths("web") == [f"/media/{photo}"]
    part = front.get(f"/media/{photo}", session | {"Range": "bytes=2-6"})
    assert (part.status, part.body, get_security_headers(part)) == (206, b"photo", expect_headers(POLICY_OF_MEDIA))
    assert front.get(f"/media/{photo}").status == 302


def test_file_that_is_not_published_is_not_found(front: Front, photo: str) -> None:
    for path in (
        f"/protected-media/{photo}",
        "/static/staticfiles.json",
        "/static//staticfiles.json",
        "/errors/503.html",
    ):
        answer = front.get(path)
        expected = expect_headers(POLICY_OF_FRONT, path=path)
        assert (path, answer.status, get_security_headers(answer)) == (path, 404, expected)


@pytest.mark.parametrize(
    "path",
    [
        "/static/../staticfiles.json",
        "/static/..%2fstaticfiles.json",
        "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static../media/{photo}",
        "/static..%2fmedia/{photo}",
        "/static/../media/{photo}",
        "/static/../protected-media/{photo}",
        "/static/..\\media\\{photo}",
        "/static/..;/media/{photo}",
        "/static/%00/../../media/{photo}",
        "/protected-media/../media/{photo}",
        "/protected-media/..%2fmedia/{photo}",
        "/protected-media/../../../etc/passwd",
        "//protected-media/{photo}",
        "/%70rotected-media/{photo}",
        "/protected-media/./{photo}",
        "/PROTECTED-MEDIA/{photo}",
    ],
)
def test_way_out_of_a_folder_leads_nowhere(front: Front, photo: str, path: str) -> None:
    said = front.converse(request("GET", path.format(photo=photo)))
    assert statuses(said) in ([302], [400], [404])
    assert [secret for secret in (b"root:", b"a photo of Ada", b'"paths"') if secret in said] == []


def test_page_and_stylesheet_are_compressed(front: Front, stylesheet: str) -> None:
    for path in ("/admin/login/", stylesheet):
        plain, gzipped = front.get(path), front.get(path, {"Accept-Encoding": "gzip"})
        assert (gzipped.status, gzipped.headers["Content-Encoding"]) == (200, "gzip")
        assert "Accept-Encoding" in ", ".join(gzipped.headers.get_all("Vary", []))
        assert len(gzipped.body) < 0.5 * len(plain.body)
        print(f"{path}: {len(plain.body)} bytes, gzip {len(gzipped.body)}")


def test_too_large_body_is_refused_with_every_header(front: Front) -> None:
    answer = front.post("/admin/login/", {"Content-Length": str(LIMIT + 1)})
    assert (answer.status, get_security_headers(answer)) == (413, expect_headers(POLICY_OF_FRONT))
    assert "<h1>Too large</h1>" in answer.text


@pytest.mark.parametrize("line", ["POST /a HTTP/1.1\r\nTransfer-Encoding: gzip", "POST /a HTTP/2.0", "GET /a HTTP/1.1"])
def test_malformed_request_is_refused_with_every_header(front: Front, line: str) -> None:
    host = b"" if line.startswith("GET") else b"Host: localhost\r\n"
    said = front.converse(line.encode() + b"\r\n" + host + b"\r\n")
    assert statuses(said) == [400]
    assert [
        header
        for header, (value,) in expect_headers(POLICY_OF_FRONT).items()
        if f"{header}: {value}" not in said.decode()
    ] == ["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("TRACE /api/v1/customers/", "Host: localhost", 405),
        ("GET /api/v1/customers/", "Host: localhost:81", 421),
        ("GET /api/v1/customers/", "Host: localhost\r\nHost: localhost", 400),
        ("GET /api/v1/customers/", f"Host: localhost\r\nX-Long: {'x' * 9000}", 431),
        (f"GET /api/v1/customers/?search={'x' * 9000}", "Host: localhost", 414),
        # Below nginx' limit of 8 KB, and above Gunicorn's of 4 KB.
        (f"GET /api/v1/customers/?search={'x' * 5000}", "Host: localhost", 414),
    ],
    ids=["trace", "another port", "two hosts", "long header", "long address", "long for Gunicorn"],
)
def test_refusal_below_the_api_is_a_problem(front: Front, line: str, headers: str, status: int) -> None:
    said = front.converse(f"{line} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = said.partition(b"\r\n\r\n")
    assert statuses(said) == [status]
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert (json.loads(body)["status"], json.loads(body).keys()) == (status, {"type", "title", "status", "detail"})


@contextmanager
def without_sessions(stack: Stack) -> Iterator[None]:
    def rename(old: str, new: str) -> None:
        sql = f"ALTER TABLE {old} RENAME TO {new}"
        stack.within("db", "psql", "-q", "-U", DATABASE, "-c", sql)

    rename("django_session", "gone")
    try:
        yield
    finally:
        rename("gone", "django_session")


def test_fault_of_django_has_every_header(front: Front) -> None:
    with without_sessions(front.stack):
        answer = front.get("/admin/login/", {"Cookie": "sessionid=nobodys0session0of0thirty0two00"})
    assert (answer.status, get_security_headers(answer)) == (500, expect_headers(POLICY_OF_DJANGO))


def test_absence_of_the_database_has_every_header(front: Front) -> None:
    front.stack.compose("stop", "db")
    answer = front.get("/admin/login/", {"Cookie": "sessionid=nobodys0session0of0thirty0two00"})
    front.stack.compose("start", "db")
    front.stack.wait_to_be("healthy", "db")
    assert (outcome(answer), get_security_headers(answer)) == ((503, "5"), expect_headers(POLICY_OF_DJANGO))


def test_absence_of_web_is_explained_and_files_are_served(front: Front, stylesheet: str) -> None:
    front.stack.compose("stop", "web")
    answers = [front.get("/admin/"), front.post("/admin/login/", body=b"username=alice")]
    problem = front.get("/api/v1/customers/")
    file = front.get(stylesheet)
    front.stack.compose("start", "web")
    front.stack.wait_to_be("healthy", "web")
    assert [outcome(answer) for answer in answers] == [(503, "10")] * 2
    assert [get_security_headers(answer) for answer in answers] == [expect_headers(POLICY_OF_FRONT)] * 2
    assert ["<h1>Back in a moment</h1>" in answer.text for answer in answers] == [True, True]
    assert (outcome(problem), get_security_headers(problem)) == ((503, "10"), expect_headers(POLICY_OF_FRONT))
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert json.loads(problem.body)["title"] == "Service Unavailable"
    assert file.status == 200
    assert front.get("/admin/login/").status == 200


def test_bodies_for_which_there_is_no_room_are_told_so(front: Front) -> None:
    fill = "dd if=/dev/zero of=/var/cache/nginx/filler bs=1M 2>/dev/null || true"
    front.stack.within("nginx", "sh", "-c", fill)
    try:
        answer = ask(front.site, "POST", "/api/v1/customers/", {"Cookie": "sessionid=anything"}, b"x" * 200_000)
    finally:
        front.stack.within("nginx", "rm", "/var/cache/nginx/filler")
    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert "more uploads than it has room for" in answer.text
    log = front.stack.run("docker", "logs", front.stack.container("nginx"))
    logged = map(json.loads, log.splitlines())
    (error,) = [line["message"] for line in logged if line["logger"] == "nginx.error"]
    assert "failed (28: No space left on device)" in error


def test_too_many_attempts_are_refused_with_every_header(front: Front) -> None:
    answers = [front.post("/admin/login/") for _ in range(25)]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) >= 3
    assert {answer.headers["Retry-After"] for answer in refused} == {"10"}
    assert [get_security_headers(answer) for answer in refused] == [expect_headers(POLICY_OF_FRONT)] * len(refused)


def test_linter_finds_nothing(front: Front, tmp_path: Path) -> None:
    whole = tmp_path / "nginx.conf"
    whole.write_text(front.stack.within("nginx", "sh", "-c", "nginx -T 2>/dev/null"))
    gixy = [str(Path(sys.executable).with_name("gixy")), "--format", "json", str(whole)]
    found = subprocess.run(gixy, capture_output=True, text=True)
    assert (json.loads(found.stdout), found.returncode) == ([], 0)
    print(f"{len(whole.read_text().splitlines())} lines, 0 findings")


def test_preloading_is_for_those_who_ask_for_it(front: Front) -> None:
    front.recreate(SECURE_HSTS_PRELOAD="true")
    answer = front.get("/admin/login/")
    assert get_security_headers(answer) == expect_headers(POLICY_OF_DJANGO, hsts=f"{HSTS}; preload")

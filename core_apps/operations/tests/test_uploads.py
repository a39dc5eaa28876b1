from io import BytesIO
from typing import Any

import pytest
from django.test import Client

LIMIT = 2**20
FORM = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n%s\r\n--x--\r\n'
TYPES = [
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/json",
    "application/octet-stream",
    "text/csv",
]


@pytest.fixture(autouse=True)
def _one_megabyte(settings):
    settings.UPLOAD_LIMIT_MB = 1


def post(content_type: str, size: int) -> tuple[int, str, int]:
    """Status, type and how much of the body was read; the check of the CSRF token is what reads forms."""
    around = len(FORM) - len("%s")
    stream = BytesIO(FORM % (b"a" * (size - around)) if content_type == TYPES[0] else b"a" * size)
    client = Client(
        enforce_csrf_checks=True, headers={"Cookie": f"csrftoken={'a' * 32}", "Referer": "https://testserver"}
    )
    environ: dict[str, Any] = {"wsgi.input": stream, "CONTENT_LENGTH": str(size), "CONTENT_TYPE": content_type}
    response = client.generic("POST", "/admin/login/", secure=True, **environ)
    return response.status_code, response.headers["Content-Type"], stream.tell()


@pytest.mark.parametrize(
    ("content_type", "read"), [*((kind, LIMIT) for kind in TYPES[:2]), *((kind, 0) for kind in TYPES[2:])]
)
def test_request_at_the_limit_is_passed_on(content_type, read):
    assert post(content_type, LIMIT) == (403, "text/html; charset=utf-8", read)


@pytest.mark.parametrize("content_type", TYPES)
def test_request_a_byte_above_the_limit_is_refused_unread(content_type):
    assert post(content_type, LIMIT + 1) == (413, "text/plain", 0)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_any_method_with_a_body_above_the_limit_is_refused(method):
    response = Client().generic(method, "/nothing/", CONTENT_LENGTH=str(LIMIT + 1), secure=True)

    assert response.status_code == 413


def test_refusal_says_the_limit_and_what_to_do():
    response = Client().post("/nothing/", b"", content_type="text/csv", CONTENT_LENGTH=str(10**12), secure=True)

    assert response.content.decode() == (
        "The upload exceeds the limit of 1 MB; nothing was saved. Go back and choose a smaller file. "
        "The administrator of this site can raise the limit: UPLOAD_LIMIT_MB.\n"
    )


def test_refusal_has_the_headers_and_the_log_line_of_any_answer(caplog):
    response = Client().post("/nothing/", b"", content_type="text/csv", CONTENT_LENGTH=str(LIMIT + 1), secure=True)

    assert {"Content-Security-Policy", "X-Content-Type-Options", "X-Request-Id"} <= set(response.headers)
    assert [(record.path, record.status) for record in caplog.records if record.name == "access"] == [
        ("/nothing/", 413)
    ]


@pytest.mark.parametrize("announced", ["", "-1", "many", "²"])
def test_length_that_is_no_number_is_nothing_announced(announced):
    assert Client().get("/nothing/", CONTENT_LENGTH=announced, secure=True).status_code == 404


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize(("announced", "read"), [({"CONTENT_LENGTH": "10"}, 10), ({}, 0)])
def test_body_is_read_no_further_than_was_announced(announced, read, content_type):
    """Chunked bodies announce nothing."""
    stream = BytesIO(b"a" * 2 * LIMIT)
    environ: dict[str, Any] = {"wsgi.input": stream, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_TYPE": content_type}
    client = Client(enforce_csrf_checks=True)

    response = client.request(
        REQUEST_METHOD="POST", PATH_INFO="/admin/login/", **environ, **announced, **{"wsgi.url_scheme": "https"}
    )

    assert (response.status_code, stream.tell() <= read) == (403, True)

"""Every refusal under /api/ has one form, whoever refuses."""

import json
from http import HTTPStatus

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import View
from psycopg2 import errorcodes

from core_apps.api import problems
from core_apps.api.parsing import JSONParser

pytestmark = pytest.mark.django_db

TAGS = "/api/v1/tags/"
JSON = "application/json"


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret of ours")


class Refusing(View):
    """Refuses as the middleware and the tools of Django do."""

    def get(self, request: HttpRequest, status: int) -> HttpResponse:
        return HttpResponse("Wait.\n", status=status, content_type="text/plain", headers={"Retry-After": "5"})


urlpatterns = [
    path("", include("config.urls")),
    path("api/broken/", broken),
    path("api/refusing/<int:status>/", Refusing.as_view()),
    path("elsewhere/refusing/<int:status>/", Refusing.as_view()),
]


def is_problem(response, status: int, title: str) -> bool:
    body = response.json()
    assert response["Content-Type"] == "application/problem+json"
    assert body.keys() - {"errors"} == {"type", "title", "status", "detail"}
    assert body["detail"]
    return (response.status_code, body["status"], body["title"], body["type"]) == (status, status, title, "about:blank")


@pytest.mark.parametrize(
    ("method", "address", "status", "title"),
    [
        ("get", "/api/v1/nothing/", 404, "Not Found"),
        ("get", "/api/", 404, "Not Found"),
        ("get", f"{TAGS}7/", 404, "Not Found"),
        ("get", f"{TAGS}00000000-0000-4000-8000-000000000000/", 404, "Not Found"),
        ("put", TAGS, 405, "Method Not Allowed"),
        ("options", TAGS, 405, "Method Not Allowed"),
        ("delete", TAGS, 405, "Method Not Allowed"),
        ("post", "/api/v1/schema/", 405, "Method Not Allowed"),
    ],
)
def test_unknown_address_or_method_is_a_problem(alice, client_of, method, address, status, title):
    response = getattr(client_of(alice), method)(address, secure=True)

    assert is_problem(response, status, title)
    if status == 405:
        assert "GET" in response["Allow"]


def test_answer_in_another_form_than_json_is_not_to_be_had(alice, client_of):
    response = client_of(alice).get(TAGS, secure=True, headers={"Accept": "text/html"})

    assert is_problem(response, 406, "Not Acceptable")


def test_body_in_another_form_than_json_is_not_read(alice, client_of):
    response = client_of(alice).post(TAGS, {"name": "VIP"}, secure=True)  # a form

    assert is_problem(response, 415, "Unsupported Media Type")


def test_host_that_is_not_ours_is_a_problem(alice, client_of):
    response = client_of(alice).get(TAGS, secure=True, headers={"Host": "evil.example"})

    assert is_problem(response, 400, "Bad Request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "\xff"}',
        '{"name": "VIP"}'.encode("utf-16"),
        b'{"name": "\\ud800"}',
        b'{"name": "a\\u0000b"}',
        b'{"\\u0000": 1}',
        b'{"name": "a\x00b"}',
        b'{"name": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"name": ' + b"1" * 5_000 + b"}",
        b'["name"]',
        b'"name"',
        b"null",
        b"[]",
        b'{"name": {"a": 1}}',
        b'{"name": ["VIP"]}',
        b'{"name": null}',
        b'{"name": true}',
        b'{"name": 1e999}',
    ],
)
@pytest.mark.parametrize("charset", ["", "; charset=utf-16", "; charset=zlib"])
def test_bad_body_is_a_problem(alice, client_of, body, charset):
    response = client_of(alice).generic("POST", TAGS, body, JSON + charset, secure=True)

    assert is_problem(response, 400, "Bad Request")


def test_body_above_the_limit_is_a_problem(alice, client_of, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 2048
    client, body = client_of(alice), {"name": "x" * 2048}

    plain = client.post(TAGS, body, JSON, secure=True)
    named = client.post(TAGS, body, JSON, secure=True, headers={"Idempotency-Key": "1"})

    assert is_problem(plain, 413, HTTPStatus(413).phrase)
    assert is_problem(named, 413, HTTPStatus(413).phrase)
    assert plain.json()["detail"] == "The body is larger than 2 kB. Send it in parts."


def test_upload_above_the_limit_is_a_problem(alice, client_of, settings):
    settings.UPLOAD_LIMIT_MB = 0

    response = client_of(alice).post(TAGS, {"name": "VIP"}, JSON, secure=True)

    assert is_problem(response, 413, HTTPStatus(413).phrase)
    assert "UPLOAD_LIMIT_MB" in response.json()["detail"]


@pytest.mark.urls(__name__)
def test_fault_of_ours_is_a_problem_that_tells_nothing(client):
    client.raise_request_exception = False

    response = client.get("/api/broken/", secure=True)

    assert is_problem(response, 500, "Internal Server Error")
    assert "secret" not in response.text


@pytest.mark.urls(__name__)
def test_refusal_of_a_middleware_keeps_its_words_and_headers(client):
    response = client.get("/api/refusing/503/", secure=True)

    assert is_problem(response, 503, "Service Unavailable")
    assert (response.json()["detail"], response["Retry-After"]) == ("Wait.", "5")


@pytest.mark.urls(__name__)
def test_refusal_elsewhere_stays_as_it_is(client):
    response = client.get("/elsewhere/refusing/503/", secure=True)

    assert (response["Content-Type"], response.text) == ("text/plain", "Wait.\n")


@pytest.mark.parametrize(
    ("code", "status", "wait"),
    [
        (errorcodes.QUERY_CANCELED, 503, "5"),
        (errorcodes.LOCK_NOT_AVAILABLE, 409, "1"),
        (errorcodes.DEADLOCK_DETECTED, 409, "1"),
        (errorcodes.ADMIN_SHUTDOWN, 503, "5"),
    ],
)
def test_failure_of_the_database_says_whether_to_come_back(alice, client_of, code, status, wait):
    client = client_of(alice)
    failure = f"DO $$BEGIN RAISE EXCEPTION 'the server''s own words' USING ERRCODE = '{code}'; END$$"

    def fail(execute, sql, params, many, context):
        if 'FROM "customers_tag"' in sql:
            sql, params = failure, None
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        response = client.get(TAGS, secure=True)

    assert (response.status_code, response["Retry-After"]) == (status, wait)
    assert response["Content-Type"] == "application/problem+json"
    assert "server's own words" not in response.text


def test_statement_that_takes_too_long_is_a_problem(alice, client_of):
    client = client_of(alice)

    def sleep(execute, sql, params, many, context):
        if 'FROM "customers_tag"' in sql:
            sql, params = "SELECT pg_sleep(2)", None
        return execute(sql, params, many, context)

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 50")
    with connection.execute_wrapper(sleep):
        response = client.get(TAGS, secure=True)

    assert is_problem(response, 503, "Service Unavailable")
    assert response.json()["detail"].startswith("The query took too long")


def test_row_that_came_between_check_and_write_is_a_conflict(alice, client_of):
    client = client_of(alice)

    def come_first(execute, sql, params, many, context):
        if 'INSERT INTO "customers_tag"' in sql:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO customers_tag (name) VALUES ('vip')")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(come_first):
        response = client.post(TAGS, {"name": "VIP"}, JSON, secure=True)

    assert is_problem(response, 409, "Conflict")
    assert response.json()["detail"] == "This tag already exists."


def test_errors_are_told_by_their_place():
    detail = {"interests": [{}, {"name": ["a"]}], "note": ["b", "c"], "non_field_errors": ["d"]}

    told = [(error["field"], error["detail"]) for error in problems.flatten_errors(detail)]

    assert told == [("interests.1.name", "a"), ("note", "b"), ("note", "c"), (None, "d")]


def test_deepest_body_that_is_read_is_looked_through(rf):
    depth = 500
    body = b"[" * depth + b'"\\u00e9"' + b"]" * depth

    data = JSONParser().parse(rf.generic("POST", "/", body))

    assert json.dumps(data, separators=(",", ":")).encode() == body


def test_problem_is_in_the_language_of_the_request(alice, client_of):
    response = client_of(alice).get(f"{TAGS}7/", secure=True, headers={"Accept-Language": "de"})

    assert response["Content-Language"] == "de"
    assert response.json()["title"] == "Not Found"

"""The schema, the page that shows it, and who may call from elsewhere."""

import json
import re

import pytest
from django.contrib.staticfiles import finders
from drf_spectacular.validation import validate_schema

pytestmark = pytest.mark.django_db

SCHEMA, PAGE = "/api/v1/schema/", "/api/v1/docs/"


@pytest.fixture
def schema(client):
    return client.get(SCHEMA, secure=True).json()


def test_schema_is_openapi_3_1(schema):
    validate_schema(schema)
    assert schema["openapi"] == "3.1.0"


def test_schema_that_is_known_is_not_sent_again(client):
    etag = client.get(SCHEMA, secure=True)["ETag"]

    assert client.get(SCHEMA, secure=True, headers={"If-None-Match": etag}).status_code == 304


def test_every_operation_names_its_refusals_and_its_scope(schema):
    operations = [operation for path in schema["paths"].values() for operation in path.values()]

    for operation in operations:
        responses = operation["responses"]
        refusals = {status: answer for status, answer in responses.items() if status >= "400"}
        assert {"400", "401", "403", "429", "503"} <= refusals.keys()
        assert set(map(json.dumps, refusals.values())) == {'{"$ref": "#/components/responses/Problem"}'}
        (scopes,) = [one["tokenAuth"] for one in operation["security"] if "tokenAuth" in one]
        assert len(scopes) == 1


def test_schema_names_the_headers_of_conditions(schema):
    paths = [path for name, path in schema["paths"].items() if name.startswith("/api/v1/tags/")]
    named = {
        (method, parameter["name"])
        for path in paths
        for method, operation in path.items()
        for parameter in operation["parameters"]
        if parameter["in"] == "header"
    }

    conditions = {("patch", "If-Match"), ("delete", "If-Match"), ("get", "If-None-Match")}
    assert named == conditions | {("post", "Idempotency-Key")}


def test_schema_has_no_room_for_fields_that_are_refused(schema):
    requests = {name: one for name, one in schema["components"]["schemas"].items() if name.endswith("Request")}

    assert {name for name, one in requests.items() if one.get("additionalProperties", True)} == set()
    assert "id" not in requests["TagRequest"]["properties"]


def test_page_loads_only_files_of_ours(client):
    page = client.get(PAGE, secure=True)

    html = page.content.decode()
    addresses = re.findall(r'<(?:script src|link [^>]*href)="([^"]+)"', html)
    assert (page.status_code, len(addresses)) == (200, 5)
    assert all(finders.find(address.removeprefix("/static/")) for address in addresses)
    assert not re.search(r"<style|<script>|\sstyle=|\son[a-z]+=", html)
    assert "script-src 'self'" in page["Content-Security-Policy"]


def preflight(client):
    headers = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,if-match",
    }
    return client.options("/api/v1/tags/", secure=True, headers=headers)


def test_other_origins_may_not_call_unless_they_are_named(client):
    assert [name for name in preflight(client).headers if name.startswith("Access-Control")] == []


@pytest.fixture
def _named_origin(settings) -> None:
    cors = "corsheaders.middleware.CorsMiddleware"
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:2], cors, *settings.MIDDLEWARE[2:]]


@pytest.mark.usefixtures("_named_origin")
def test_named_origin_may_call_with_a_token_and_without_cookies(client):
    answer = preflight(client)
    refused = client.get("/api/v1/tags/", secure=True, headers={"Origin": "https://shop.example"})

    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (200, "https://shop.example")
    assert "if-match" in answer["Access-Control-Allow-Headers"]
    assert not answer.has_header("Access-Control-Allow-Credentials")
    assert refused["Access-Control-Allow-Origin"] == "https://shop.example"
    assert "ETag" in refused["Access-Control-Expose-Headers"]


@pytest.mark.usefixtures("_named_origin")
@pytest.mark.parametrize(
    ("address", "origin"), [("/api/v1/tags/", "https://evil.example"), ("/admin/", "https://shop.example")]
)
def test_other_origins_and_other_pages_stay_closed(client, address, origin):
    answer = client.get(address, secure=True, headers={"Origin": origin})

    assert not answer.has_header("Access-Control-Allow-Origin")


def test_nothing_of_cors_is_loaded_where_no_origin_is_named(settings):
    assert [name for name in (*settings.MIDDLEWARE, *settings.INSTALLED_APPS) if "cors" in name] == []

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django.utils.datastructures import MultiValueDictKeyError

POLICY = [
    "base-uri 'none'",
    "connect-src 'self'",
    "default-src 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "img-src 'self'",
    "object-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
]
SAME = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# Prints the address of a static file, that of a photo, and the sources that pages may use.
ADDRESSES = """
import json
from config.settings import CONTENT_SECURITY_POLICY, STATIC_URL
from django.core.files.storage import default_storage
names = ("Cache-Control", "Content-Disposition", "Content-Type")
link = default_storage.build_link("photos/a.jpg", dict.fromkeys(names, "x"), "GET")
sources = [CONTENT_SECURITY_POLICY["DIRECTIVES"][f"{name}-src"] for name in ("script", "style", "img")]
print(json.dumps([STATIC_URL, link.partition("/photos/")[0], sources]))
"""


@pytest.mark.parametrize(
    ("service", "origin", "place"),
    [
        ({"AWS_REGION": "eu-west-1"}, "https://crm-photos.s3.eu-west-1.amazonaws.com", ""),
        ({"AWS_ENDPOINT_URL": "https://s3.example.com"}, "https://s3.example.com", "/crm-photos"),
    ],
)
def test_policy_allows_the_origins_of_static_files_and_photos(service, origin, place):
    key = {"MEDIA_BUCKET": "crm-photos", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", ADDRESSES],
        cwd=settings.BASE_DIR,
        env=os.environ | key | service | {"STATIC_HOST": "https://cdn.example.com"},
        capture_output=True,
        text=True,
        check=True,
    )

    site = ["'self'", "https://cdn.example.com"]
    assert json.loads(done.stdout) == ["https://cdn.example.com/static/", origin + place, [site, site, [*site, origin]]]


def fails(request: HttpRequest) -> HttpResponse:
    raise MultiValueDictKeyError("missing")


urlpatterns = [path("fails/", fails)]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def _failing_view(settings):
    settings.ROOT_URLCONF = __name__


@pytest.mark.parametrize("url", ["/", "/admin/login/", "/nothing/", "/static/admin/css/base.css"])
def test_every_response_has_the_same_headers(url, client):
    headers = client.get(url, secure=True).headers

    assert sorted(headers["Content-Security-Policy"].split("; ")) == POLICY
    assert {name: headers[name] for name in SAME} == SAME


@pytest.mark.usefixtures("_failing_view")
def test_error_page_has_the_policy(client):
    response = client.get("/fails/", secure=True)

    assert response.status_code == 500
    assert sorted(response.headers["Content-Security-Policy"].split("; ")) == POLICY


@pytest.mark.usefixtures("_failing_view")
@pytest.mark.parametrize(
    ("url", "status", "text"),
    [("/fails/", 500, "MultiValueDictKeyError"), ("/nothing/", 404, "Using the URLconf defined in")],
)
def test_technical_page_of_debug_keeps_its_inline_scripts(url, status, text, client, settings):
    settings.DEBUG = True

    response = client.get(url, secure=True)

    assert (response.status_code, text in response.content.decode()) == (status, True)
    assert "Content-Security-Policy" not in response.headers


def test_refused_form_has_a_page_without_inline_styles():
    response = Client(enforce_csrf_checks=True).post("/admin/login/", secure=True)

    page = response.content.decode()
    assert (response.status_code, "<h1>The form was rejected; nothing was changed</h1>" in page) == (403, True)
    assert "<style" not in page

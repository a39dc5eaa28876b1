import gzip
import re

import pytest
from django.core.management import call_command
from django.test import Client

from config import settings as configured


@pytest.fixture
def collected(settings, tmp_path):
    settings.STORAGES = configured.STORAGES
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    return tmp_path


def test_static_file_is_served_under_its_hash_compressed_and_immutable(collected):
    client = Client()
    page = client.get("/admin/login/", secure=True).content.decode()
    [url] = re.findall(r'href="(/static/admin/css/base\.[0-9a-f]{12}\.css)"', page)

    response = client.get(url, secure=True, headers={"Accept-Encoding": "gzip"})

    assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.getvalue()) == (collected / url[len("/static/") :]).read_bytes()


def test_static_file_that_is_missing_is_not_cached():
    response = Client().get("/static/admin/css/base.000000000000.css", secure=True)

    assert (response.status_code, "no-store" in response.headers["Cache-Control"]) == (404, True)

import gzip
import re

import brotli
import pytest
from django.core.management import call_command
from django.test import Client

from config import settings as configured

DECODERS = {"gzip": gzip.decompress, "br": brotli.decompress}


@pytest.fixture
def collected(settings, tmp_path):
    settings.STORAGES = configured.STORAGES
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", interactive=False, verbosity=0)
    return tmp_path


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip", "gzip"), ("gzip, br", "br")])
def test_static_file_is_served_under_its_hash_compressed_and_immutable(accepted, encoding, collected):
    client = Client()
    page = client.get("/admin/login/", secure=True).content.decode()
    [url] = re.findall(r'href="(/static/admin/css/base\.[0-9a-f]{12}\.css)"', page)

    response = client.get(url, secure=True, headers={"Accept-Encoding": accepted})

    assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    assert response.headers["Content-Encoding"] == encoding
    assert DECODERS[encoding](response.getvalue()) == (collected / url[len("/static/") :]).read_bytes()

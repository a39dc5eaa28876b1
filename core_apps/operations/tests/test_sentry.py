"""Against a Sentry that listens on loopback and keeps what it is sent."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import brotli
import pytest
from django.conf import settings

FAIL_ONCE = """
import sys
import django; django.setup()
from django.core.signals import got_request_exception
from django.test import Client
from django.urls import path
import config.urls
def fail(request): raise RuntimeError("boom")
config.urls.urlpatterns.insert(0, path("fail/", fail))
client = Client(raise_request_exception=False)
answer = client.get("/fail/", secure=True, headers={"X-Request-Id": "front-door.1", "Host": "localhost"})
print(answer.status_code, "sentry_sdk" in sys.modules)
if "sentry_sdk" in sys.modules: sys.modules["sentry_sdk"].flush()
"""


class Sentry(BaseHTTPRequestHandler):
    received: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        # The SDK takes Brotli where a package has brought it.
        decompress = brotli.decompress if self.headers["Content-Encoding"] == "br" else gzip.decompress
        self.received.append(decompress(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def sentry() -> Iterator[str]:
    Sentry.received.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Sentry) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://key@127.0.0.1:{server.server_port}/1"
        server.shutdown()


def fail_once(dsn: str) -> str:
    environment = os.environ | {"SENTRY_DSN": dsn, "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", FAIL_ONCE]
    checkout = Path(settings.BASE_DIR)
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout


def test_sentry_without_dsn_is_not_imported():
    assert fail_once("") == "500 False\n"


def test_sentry_with_dsn_gets_the_error_with_the_request_id(sentry):
    assert fail_once(sentry) == "500 True\n"

    events = [json.loads(line) for body in Sentry.received for line in body.splitlines() if b'"exception"' in line]
    assert [event["exception"]["values"][0]["value"] for event in events] == ["boom"]
    assert events[0]["tags"]["request_id"] == "front-door.1"
    assert events[0]["environment"] == "production"

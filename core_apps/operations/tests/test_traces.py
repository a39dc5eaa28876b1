import http.client
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import IntegrityError, connection
from django.db.backends.signals import connection_created
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from core_apps.accounts.models import User
from core_apps.operations import traces
from core_apps.operations.tests.collector import Collector, read_attributes, run_collector
from core_apps.tasks import running

CHECKOUT = Path(django_settings.BASE_DIR)
ASK_ONCE = """
import sys
import django; django.setup()
from django.test import Client
print(Client().get("/api/v1/customers/", secure=True, headers={"Host": "localhost"}).status_code)
print([name for name in sys.modules if name.startswith(("opentelemetry.exporter", "opentelemetry.sdk.trace"))])
"""
GUNICORN = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-c", "config/gunicorn.py", "-b127.0.0.1:0"]
HEADERS = {"User-Agent": "Browser-of-Zoe", "X-Request-Id": "front-door.1", "X-Forwarded-For": "192.0.2.7"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with run_collector() as server:
        yield server


@pytest.fixture
def stop(collector, settings, monkeypatch) -> Iterator[Callable[[], None]]:
    """Traces of this process; call it to send those that wait."""
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = collector.settings["OTEL_EXPORTER_OTLP_ENDPOINT"]
    settings.OTEL_EXPORTER_OTLP_HEADERS = {"X-Key": "k"}
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "core_apps.operations.traces.TracesMiddleware"]
    monkeypatch.setattr(traces, "tracer", traces.tracer)
    monkeypatch.setattr(running, "surround", running.surround)
    provider = traces.start_traces("web")
    traces.trace_queries(connection)
    yield provider.shutdown
    connection.execute_wrappers.remove(traces.trace_query)
    connection_created.disconnect(dispatch_uid="traces")


def test_traces_without_endpoint_are_not_imported():
    """redis-py imports a part of what is installed of OpenTelemetry."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", ASK_ONCE]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "401\n[]\n"


def test_workers_of_gunicorn_send_spans_until_they_end(collector):
    environment = os.environ | collector.settings | {"HTTPS": "false"}
    with subprocess.Popen(
        [*GUNICORN, "-w2"], cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr
        port = next(
            found[1] for line in server.stderr if (found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", line))
        )
        with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=30)) as client:
            client.request("GET", "/api/v1/customers/?q=Lovelace", headers=HEADERS | {"Host": "localhost"})
            status = client.getresponse().status
        server.terminate()
        server.communicate(timeout=30)

    [(service, attributes)] = [
        (service, read_attributes(span)) for service, span in collector.read_spans() if span.name == "GET customer-list"
    ]
    assert (service, status) == ("web", 401)
    assert attributes == {
        "http.request.method": "GET",
        "http.route": "customer-list",
        "http.response.status_code": 401,
        "request_id": "front-door.1",
    }
    assert [text for text in ("Lovelace", "Zoe", "192.0.2.7") if text.encode() in b"".join(collector.bodies)] == []


def test_statements_belong_to_their_request_and_have_no_values(stop, collector, admin_client):
    admin_client.get("/admin/accounts/user/?q=Lovelace", headers=HEADERS, secure=True)
    stop()

    spans = [span for _service, span in collector.read_spans()]
    [request] = [span for span in spans if span.name == "GET admin:accounts_user_changelist"]
    statements = [span for span in spans if span.parent_span_id == request.span_id]
    assert len(statements) == len(spans) - 1 > 2
    assert {span.name for span in statements} == {"SELECT"}
    assert any("LIKE UPPER(%s)" in str(read_attributes(span)["db.query.text"]) for span in statements)
    assert [text for text in (b"Lovelace", b"Zoe", b"127.0.0.1", b"admin@") if text in b"".join(collector.bodies)] == []


def test_statement_outside_of_a_request_or_task_is_no_trace(stop, collector, db):
    assert not User.objects.exists()
    stop()

    assert collector.read_spans() == []


def test_error_is_recorded_without_its_message(stop, collector, db):
    User.objects.create_user("zoe@example.com")
    with pytest.raises(IntegrityError, match=r"zoe@example\.com"), running.surround("accounts.invented"):
        User.objects.create_user("zoe@example.com")
    stop()

    found = {span.name: span.status for _service, span in collector.read_spans()}
    error = Status(code=Status.STATUS_CODE_ERROR, message="IntegrityError")
    assert found == {"accounts.invented": error, "INSERT": error}
    assert b"zoe@" not in b"".join(collector.bodies)

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from core_apps.operations import probes

LIVENESS = ["/health/", "/api/v1/health/"]
READINESS = "/api/v1/ready/"


@pytest.fixture(autouse=True)
def _fresh_checks(request, monkeypatch) -> Iterator[None]:
    """Each test starts as a new process does: nothing known of the migrations, no question under way."""
    if "silent_port" not in request.fixturenames:
        monkeypatch.setattr(probes, "BUDGET", 30.0)  # only a silent server is about time
    monkeypatch.setattr(probes, "_migrated", threading.Event())
    for name, ask in (("DATABASE", "check_database"), ("MIGRATIONS", "check_migrations"), ("CACHE", "check_cache")):
        monkeypatch.setattr(probes, name, probes.Check(getattr(probes, ask)))
    yield
    for check in (probes.DATABASE, probes.MIGRATIONS):
        if check._thread.is_alive():
            check._thread.join()  # what it learns of the database is known to the whole process


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Accepts connections, as a paused server's kernel does, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def database_at(port: int) -> Iterator[None]:
    parameters = connections.settings["default"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(parameters, "HOST", "127.0.0.1")
        patch.setitem(parameters, "PORT", str(port))
        yield


def cache_at(settings, port: int) -> None:
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}}


def probe(path: str, **headers: str) -> tuple[int, dict[str, object], float]:
    started = time.monotonic()
    response = Client().get(path, headers=headers)
    return response.status_code, response.json(), time.monotonic() - started


@pytest.mark.parametrize("path", LIVENESS)
@pytest.mark.parametrize("host", ["localhost", "web:8000", "10.1.2.3", "crm.example.com", "b@d host"])
def test_liveness_for_any_host_over_plain_http_is_200(path, host):
    response = Client().get(path, headers={"Host": host})

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["Cache-Control"] == "no-store"
    assert "X-Request-Id" not in response.headers


def test_liveness_without_database_and_cache_touches_neither(settings, closed_port, caplog):
    """pytest-django fails any query here, and django-redis would log its failure."""
    cache_at(settings, closed_port)

    with database_at(closed_port):
        assert probe(LIVENESS[0])[:2] == (200, {"status": "ok"})

    assert caplog.records == []


@pytest.mark.parametrize("path", [*LIVENESS, READINESS])
def test_probe_by_another_method_is_refused(path):
    response = Client().post(path)

    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")


def test_other_path_with_bad_host_is_still_refused():
    assert Client().get("/admin/", headers={"Host": "b@d"}, secure=True).status_code == 400


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("host", ["localhost", "10.1.2.3", "crm.example.com"])
def test_readiness_with_all_parts_up_is_200(host):
    assert probe(READINESS, Host=host)[:2] == (200, {"status": "ready"})


@pytest.mark.django_db(transaction=True)
def test_readiness_with_database_refusing_names_the_database_only(closed_port, caplog):
    with database_at(closed_port):
        status, body, seconds = probe(READINESS)

    assert (status, body) == (503, {"status": "unavailable", "failing": ["database"]})
    assert seconds < 1
    assert caplog.records == []  # probes come every few seconds and are not logged


@pytest.mark.django_db(transaction=True)
def test_readiness_leaves_no_connection_open(closed_port):
    probe(READINESS)

    with connections["default"].cursor() as cursor:
        # The server takes a moment to end the session of a connection that was closed.
        deadline, sessions = time.monotonic() + 30, (0,)
        while sessions != (1,) and time.monotonic() < deadline:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            sessions = cursor.fetchone()
    assert sessions == (1,)


@pytest.mark.django_db(transaction=True)
def test_readiness_with_database_silent_answers_before_the_database_has_to(silent_port, settings):
    with database_at(silent_port):
        answers = [probe(READINESS) for _ in range(3)]

    assert [answer[:2] for answer in answers] == [(503, {"status": "unavailable", "failing": ["database"]})] * 3
    assert max(answer[2] for answer in answers) < settings.DATABASE_CONNECT_TIMEOUT


@pytest.mark.django_db(transaction=True)
def test_readiness_with_database_silent_asks_in_one_thread_however_many_probes(silent_port):
    before = threading.active_count()
    with database_at(silent_port):
        for _ in range(3):
            probe(READINESS)
        waiting = threading.active_count() - before

    assert waiting <= 2  # one for the database, one for its migrations


@pytest.mark.django_db(transaction=True)
def test_readiness_after_the_database_returns_is_200(closed_port):
    with database_at(closed_port):
        assert probe(READINESS)[0] == 503

    assert probe(READINESS)[:2] == (200, {"status": "ready"})


@pytest.mark.django_db(transaction=True)
def test_readiness_with_unapplied_migration_is_503_until_it_is_applied():
    applied = MigrationRecorder.Migration.objects.filter(app="customers").latest("pk")
    applied.delete()
    try:
        assert probe(READINESS)[:2] == (503, {"status": "unavailable", "failing": ["migrations"]})
    finally:
        applied.save()

    assert probe(READINESS)[:2] == (200, {"status": "ready"})


@pytest.mark.django_db(transaction=True)
def test_readiness_reads_the_migrations_once_for_the_process():
    probe(READINESS)
    applied = MigrationRecorder.Migration.objects.filter(app="customers").latest("pk")
    applied.delete()
    try:
        assert probe(READINESS)[:2] == (200, {"status": "ready"})
    finally:
        applied.save()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["closed_port", "silent_port"])
def test_readiness_without_cache_is_degraded_and_200(kind, settings, request):
    cache_at(settings, request.getfixturevalue(kind))

    status, body, seconds = probe(READINESS)

    assert (status, body) == (200, {"status": "degraded", "failing": ["cache"]})
    assert seconds < 1

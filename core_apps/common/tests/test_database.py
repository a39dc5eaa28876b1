import socket
import time
from collections.abc import Iterator
from threading import Thread
from types import SimpleNamespace

import pytest
from django.db import OperationalError, connection, connections

from core_apps.common import database
from core_apps.common.breaker import Breaker
from core_apps.common.tests.freezer import Freezer, freezer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def frozen_on_demand(monkeypatch) -> Iterator[Freezer]:
    """The test's database, behind a way to it that can be frozen."""
    monkeypatch.setattr(database, "PATIENCE", 0.3)
    monkeypatch.setattr(database, "ANSWER", 0.2)
    parameters = connections.settings["default"]
    with freezer(parameters["HOST"], int(parameters["PORT"])) as between, monkeypatch.context() as patch:
        connection.close()
        patch.setitem(parameters, "HOST", "127.0.0.1")
        patch.setitem(parameters, "PORT", str(between.port))
        connection.ensure_connection()
        yield between
        between.thawed.set()
        connection.close()


def query() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def seconds_to_refuse() -> float:
    started = time.monotonic()
    with pytest.raises(OperationalError, match="the database d"):
        query()
    return time.monotonic() - started


def test_query_on_a_frozen_database_fails_soon(frozen_on_demand):
    frozen_on_demand.thawed.clear()

    assert seconds_to_refuse() < 1


def test_query_after_a_frozen_one_fails_at_once(frozen_on_demand):
    frozen_on_demand.thawed.clear()
    seconds_to_refuse()

    connection.close()
    assert seconds_to_refuse() < 0.05


def test_database_is_used_again_after_it_thaws(frozen_on_demand, monkeypatch):
    monkeypatch.setattr(database, "BREAKER", Breaker(pause=0.1, trial=1))
    frozen_on_demand.thawed.clear()
    seconds_to_refuse()
    frozen_on_demand.thawed.set()
    connection.close()

    time.sleep(0.11)
    query()


def test_long_query_of_a_healthy_database_is_waited_for(frozen_on_demand):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'done' FROM pg_sleep(1)")
        assert cursor.fetchone() == ("done",)


@pytest.mark.parametrize(("answer", "silent"), [(b"N", False), (b"", True)])
def test_silence_is_asked_for_at_a_socket_too(tmp_path, answer, silent):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / ".s.PGSQL.5432"))
        listener.listen()
        server = Thread(target=lambda: answer_once(listener, answer))
        server.start()
        assert database.is_silent(SimpleNamespace(info=SimpleNamespace(host=str(tmp_path), port=5432))) == silent
        server.join()


def answer_once(listener: socket.socket, answer: bytes) -> None:
    caller, _ = listener.accept()
    with caller:
        assert caller.recv(8) == database.SSL_REQUEST
        caller.sendall(answer)


def test_page_without_database_is_503_and_says_what_to_do(frozen_on_demand, alice, client_of):
    client = client_of(alice)
    frozen_on_demand.thawed.clear()

    response = client.get("/admin/", secure=True)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert (
        response.content
        == b"The database does not answer at the moment. See whether your change is there, then try again.\n"
    )


def test_session_that_cannot_be_read_is_503_too(frozen_on_demand, client):
    client.cookies["sessionid"] = "of-nobody-whom-the-cache-knows-of"
    frozen_on_demand.thawed.clear()

    response = client.get("/admin/login/", secure=True)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "Content-Security-Policy" in response.headers

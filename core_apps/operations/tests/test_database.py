import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, connections

from core_apps.operations.postgresql.base import DatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def black_hole(monkeypatch) -> Iterator[None]:
    """The database is where packets are dropped: at a port whose queue of connections is full."""
    parameters = connections.settings["default"]
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as filler:
        filler.connect(server.getsockname())
        connection.close()
        with monkeypatch.context() as patch:
            patch.setitem(parameters, "HOST", "127.0.0.1")
            patch.setitem(parameters, "PORT", str(server.getsockname()[1]))
            patch.setitem(parameters, "OPTIONS", parameters["OPTIONS"] | {"connect_timeout": 2})
            yield


def outcome_of_query(_: int = 0) -> str:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        reasons = {"timeout expired": "timed out", "a moment ago": "not tried", "Connection refused": "refused"}
        return next(outcome for text, outcome in reasons.items() if text in str(error))
    finally:
        connection.close()
    return "answered"


@pytest.mark.usefixtures("black_hole")
def test_one_thread_waits_for_a_database_that_is_away():
    assert [outcome_of_query(), outcome_of_query()] == ["timed out", "not tried"]

    DatabaseWrapper._retry_at = 1.0  # long ago
    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(outcome_of_query, range(4))) == ["not tried"] * 3 + ["timed out"]


def test_database_is_used_again_after_it_is_back():
    DatabaseWrapper._retry_at = 1.0
    connection.close()

    assert (outcome_of_query(), DatabaseWrapper._retry_at) == ("answered", 0.0)


def test_refused_connection_stops_nobody_from_trying(monkeypatch):
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connections.settings["default"], "PORT", "1")
        assert outcome_of_query() == "refused"

    assert outcome_of_query() == "answered"


def test_server_side_cursor_of_a_session_that_has_ended_raises_djangos_error():
    """As where the server restarts between the last row and the end of a queryset's iterator."""
    cursor, other = connection.chunked_cursor(), connection.copy()
    try:
        cursor.execute("SELECT pg_backend_pid()")
        with other.cursor() as killer:
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", cursor.fetchone())
        with pytest.raises(OperationalError):
            cursor.close()
    finally:
        other.close()
        connection.close()


@pytest.mark.usefixtures("black_hole")
def test_page_without_database_is_503_and_says_what_to_do(client):
    client.cookies["sessionid"] = "of-nobody-whom-the-cache-knows-of"

    response = client.get("/admin/login/", secure=True)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.content == b"The database is not available. Check whether your change was saved, then try again.\n"
    assert "Content-Security-Policy" in response.headers


@pytest.mark.usefixtures("black_hole")
def test_api_without_database_is_503_as_a_problem(client):
    response = client.get("/api/v1/customers/", headers={"Authorization": "Token of-nobody"}, secure=True)

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["title"] == "Service Unavailable"

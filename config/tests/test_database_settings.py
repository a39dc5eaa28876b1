import pytest
from django.db import OperationalError, connection

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("statement_timeout", "15s"), ("lock_timeout", "3s"), ("idle_in_transaction_session_timeout", "30s")],
)
def test_server_enforces_the_timeouts(setting, expected):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {setting}")
        assert cursor.fetchone() == (expected,)


def test_server_cancels_a_statement_after_the_timeout():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '50ms'")
        with pytest.raises(OperationalError, match="canceling statement due to statement timeout"):
            cursor.execute("SELECT pg_sleep(5)")


def test_connection_uses_the_settings(settings):
    database = settings.DATABASES["default"]

    assert database["OPTIONS"]["connect_timeout"] == settings.DATABASE_CONNECT_TIMEOUT == 3
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (60, True)


def test_session_survives_the_loss_of_the_cache(settings, alice, client_of):
    client = client_of(alice)
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}}

    response = client.get("/admin/", secure=True)

    assert response.context["user"] == alice

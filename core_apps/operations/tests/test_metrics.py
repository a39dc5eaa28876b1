import pytest
from django.db import connection
from prometheus_client import REGISTRY

from core_apps.operations.metrics import time_queries, time_query


@pytest.fixture
def reopened_connection():
    for _ in range(3):
        time_queries(connection)
    yield
    connection.execute_wrappers.remove(time_query)


@pytest.mark.django_db
def test_statement_is_counted_once_however_often_the_connection_was_opened(reopened_connection):
    before = REGISTRY.get_sample_value("database_queries_total") or 0

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    assert REGISTRY.get_sample_value("database_queries_total") == before + 1

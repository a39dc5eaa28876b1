import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, current_thread

import pytest
import redis
from django.core.cache import cache, caches

from core_apps.cache import client


@pytest.fixture
def connecting(monkeypatch) -> list[Thread]:
    """The threads that have asked for a connection to Redis, one entry for each time."""
    threads, connect = [], redis.Connection.connect

    def record_and_connect(connection):
        threads.append(current_thread())
        connect(connection)

    monkeypatch.setattr(redis.Connection, "connect", record_and_connect)
    return threads


def seconds_for(calls: int) -> float:
    started = time.monotonic()
    assert [cache.get("anything") for _ in range(calls)] == [None] * calls
    return time.monotonic() - started


def test_cache_stores_values():
    cache.set("answer", 42)

    assert cache.get("answer") == 42


@pytest.mark.usefixtures("silent_redis")
def test_silent_redis_costs_one_timeout_for_many_calls(connecting):
    assert seconds_for(100) < 10 * 0.3
    assert connecting.count(current_thread()) == 1


@pytest.mark.usefixtures("silent_redis")
def test_silent_redis_is_logged_once_for_many_calls(caplog):
    seconds_for(20)

    names = [record.name for record in caplog.records]
    assert names == ["core_apps.cache.client", "django_redis.cache"]


@pytest.mark.usefixtures("silent_redis")
def test_silent_redis_is_tried_once_after_the_pause(connecting, monkeypatch):
    monkeypatch.setattr(client, "PAUSE", 0.6)  # longer than a timeout
    cache.get("anything")
    time.sleep(0.61)
    connecting.clear()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(cache.get, ["anything"] * 20))

    assert len(connecting) == 1


def test_cache_is_used_again_after_redis_returns(settings, monkeypatch):
    monkeypatch.setattr(client, "PAUSE", 0.1)
    real = settings.CACHES
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        settings.CACHES = {"default": real["default"] | {"LOCATION": address}}
        assert cache.get("anything") is None
    settings.CACHES = real

    time.sleep(0.11)
    caches["default"].set("answer", 43)
    assert caches["default"].get("answer") == 43


def test_filter_keeps_other_failures():
    try:
        raise ValueError("other")
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "", (), (type(error), error, None))

    assert client.is_not_circuit_open(record)

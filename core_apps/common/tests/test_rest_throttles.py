"""How often one may ask, with Redis and without it."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django_redis import get_redis_connection
from rest_framework.exceptions import Throttled

from core_apps.accounts.models import ApiToken
from core_apps.common import caching
from core_apps.common.rest import throttles
from core_apps.common.rest.throttles import Counters

pytestmark = pytest.mark.django_db

TAGS = "/api/v1/tags/"


@pytest.fixture(autouse=True)
def _one_window(monkeypatch):
    """None of an earlier test, and none that ends in the middle of a test."""
    get_redis_connection("default").flushdb()
    monkeypatch.setattr(throttles, "COUNTERS", Counters())
    if throttles.WINDOW - time.time() % throttles.WINDOW < 5:
        time.sleep(5)


@pytest.fixture
def refused_redis(settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": f"redis://127.0.0.1:{port}/0"}}


@pytest.fixture
def full_redis(own_redis) -> None:
    """Takes no more keys: what it answers is an error, and no lost connection."""
    own_redis.client.config_set("maxmemory-policy", "noeviction")
    own_redis.client.config_set("maxmemory", 1)


@pytest.fixture(params=["with Redis", "refused_redis", "silent_redis", "full_redis"])
def redis_in_any_state(request) -> None:
    if request.param != "with Redis":
        request.getfixturevalue(request.param)


def statuses(client, number: int, **options) -> list[int]:
    return [client.get(TAGS, secure=True, **options).status_code for _ in range(number)]


@pytest.mark.usefixtures("redis_in_any_state")
def test_person_is_refused_above_the_limit(bob, alice, client_of, settings):
    settings.API_RATE_PER_TOKEN = 3
    client = client_of(bob)

    assert statuses(client, 5) == [200, 200, 200, 429, 429]
    assert statuses(client_of(alice), 1) == [200]


@pytest.mark.usefixtures("redis_in_any_state")
def test_token_is_refused_above_the_limit(bob, client, settings):
    settings.API_RATE_PER_TOKEN = 2
    first, second = (ApiToken.objects.create(bob, timedelta(days=1), name="A", scopes=["read"])[1] for _ in range(2))

    assert statuses(client, 3, headers={"Authorization": f"Token {first}"}) == [200, 200, 429]
    assert statuses(client, 1, headers={"Authorization": f"Token {second}"}) == [200]


@pytest.mark.usefixtures("redis_in_any_state")
def test_address_is_refused_above_the_limit_whoever_asks(bob, alice, client_of, settings):
    settings.API_RATE_PER_ADDRESS = 3

    assert statuses(client_of(bob), 2) == [200, 200]
    assert statuses(client_of(alice), 2) == [200, 429]
    assert statuses(client_of(alice), 1, REMOTE_ADDR="192.0.2.7") == [200]


def test_requests_of_nobody_count_for_their_address(client, settings):
    settings.API_RATE_PER_ADDRESS = 2

    assert statuses(client, 3) == [401, 401, 429]


@pytest.mark.usefixtures("redis_in_any_state")
def test_failed_tokens_are_refused_above_their_limit_and_valid_ones_are_not(bob, client, settings):
    settings.API_RATE_OF_FAILURES = 2
    valid = ApiToken.objects.create(bob, timedelta(days=1), name="A", scopes=["read"])[1]

    assert statuses(client, 4, headers={"Authorization": "Token wrong"}) == [401, 401, 429, 429]
    assert statuses(client, 1, headers={"Authorization": f"Token {valid}"}) == [200]


def test_refusal_says_when_to_come_back(bob, client_of, settings):
    settings.API_RATE_PER_TOKEN = 0

    refused = client_of(bob).get(TAGS, secure=True)

    seconds = int(refused["Retry-After"])
    assert 1 <= seconds <= 60
    unit = "second" if seconds == 1 else "seconds"
    assert refused.json() == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": f"Too many requests. Expected available in {seconds} {unit}.",
    }


def test_next_window_begins_at_none(monkeypatch):
    moment = 1_000_000 * throttles.WINDOW
    monkeypatch.setattr(time, "time", lambda: moment)
    throttles.count_all([("somebody", 1)])
    with pytest.raises(Throttled):
        throttles.count_all([("somebody", 1)])

    moment += throttles.WINDOW
    throttles.count_all([("somebody", 1)])


def test_counters_in_redis_end(bob, client_of):
    client_of(bob).get(TAGS, secure=True)

    client = get_redis_connection("default")
    counters = [key for key in client.keys("*") if client.type(key) == b"string" and client.get(key) == b"1"]
    assert len(counters) == 2
    assert all(0 < client.ttl(key) <= 2 * throttles.WINDOW for key in counters)
    assert not any(b"127.0.0.1" in key or b"bob" in key for key in counters)


def test_counters_of_a_process_are_bounded(monkeypatch):
    monkeypatch.setattr(throttles, "MOST_KEPT", 3)
    counters = Counters()

    for number in range(10):
        counters.count(1, [(f"address {number}", 5)])

    assert len(counters._counters) == 3


def test_processes_share_a_limit():
    """Each sees what the others have told; near the limit all tell at once."""
    processes, limit = [Counters() for _ in range(4)], 600

    allowed = sum(processes[number % 4].count(1, [("token 1", limit)])[0] <= limit for number in range(1200))

    assert limit <= allowed <= limit + 4


def test_client_that_asks_often_costs_few_calls_to_redis(own_redis):
    before = own_redis.client.info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"]
    counters = Counters()

    for _ in range(300):
        counters.count(1, [("address 1", 1200), ("token 1", 600)])

    assert own_redis.client.info("commandstats")["cmdstat_eval"]["calls"] - before < 60


def test_what_redis_did_not_hear_it_hears_when_it_is_back(own_redis):
    counters = Counters()
    counters.count(1, [("token 1", 10)])
    own_redis.kill()
    for _ in range(3):
        counters.count(1, [("token 1", 10)])

    own_redis.start()
    caching.BREAKER.answered()
    counters.count(1, [("token 1", 10)])

    assert Counters().count(1, [("token 1", 10)]) == [5]


def test_threads_lose_no_request():
    counters, threads, each = Counters(), 8, 200

    def ask(_number: int) -> None:
        for _ in range(each):
            counters.count(1, [("token 1", 100_000)])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ask, range(threads)))

    assert counters.count(1, [("token 1", 100_000)]) == [threads * each + 1]

"""How often one may ask, with Redis and without it."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from django_redis import get_redis_connection
from rest_framework.exceptions import Throttled

from core_apps.api import throttles
from core_apps.api.tests.test_authentication import token_of

pytestmark = pytest.mark.django_db

TAGS = "/api/v1/tags/"


@pytest.fixture(autouse=True)
def _no_counts():
    """None of an earlier test."""
    get_redis_connection("default").flushdb()
    throttles.MEMORY.reset()


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
    first, second = (token_of(bob) for _ in range(2))

    assert statuses(client, 3, headers={"Authorization": f"Token {first}"}) == [200, 200, 429]
    assert statuses(client, 1, headers={"Authorization": f"Token {second}"}) == [200]


@pytest.mark.usefixtures("redis_in_any_state")
def test_failed_tokens_are_refused_above_their_limit_and_valid_ones_are_not(bob, client, settings):
    settings.API_RATE_OF_FAILURES = 2
    valid = token_of(bob)

    assert statuses(client, 4, headers={"Authorization": "Token wrong"}) == [401, 401, 429, 429]
    assert statuses(client, 1, headers={"Authorization": f"Token {valid}"}) == [200]


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [("10.0.0.0/24", [401, 429, 401]), ("*", [401, 429, 401]), ("10.0.1.0/24,10.0.2.1", [401, 429, 429])],
)
def test_failed_tokens_are_counted_by_the_address_that_a_trusted_proxy_names(trusted, expected, client, settings):
    settings.API_RATE_OF_FAILURES, settings.FORWARDED_ALLOW_IPS = 1, trusted
    wrong = {"Authorization": "Token wrong"}
    # The first of two is what the client says.
    chains = ["1.1.1.1, 2.2.2.2", "3.3.3.3, 2.2.2.2", "3.3.3.3"]

    found = [
        client.get(TAGS, secure=True, REMOTE_ADDR="10.0.0.7", headers=wrong | {"X-Forwarded-For": chain}).status_code
        for chain in chains
    ]

    assert found == expected


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


def test_window_ends(bob, client_of, settings):
    settings.API_RATE_PER_TOKEN = 1
    client = client_of(bob)
    assert statuses(client, 2) == [200, 429]

    redis = get_redis_connection("default")
    (counter,) = redis.keys("LIMITS*")
    assert 0 < redis.ttl(counter) <= 60
    redis.delete(counter)
    assert statuses(client, 1) == [200]


def test_counters_name_nobody(bob, client_of):
    client_of(bob).get(TAGS, secure=True)

    assert not any(b"127.0.0.1" in key or b"bob" in key for key in get_redis_connection("default").keys("*"))


def test_limit_is_exact_for_many_at_a_time():
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _number: is_allowed(20), range(40)))

    assert answers.count(True) == 20


def is_allowed(limit: int) -> bool:
    try:
        throttles.count_request("token 1", limit)
    except Throttled:
        return False
    return True

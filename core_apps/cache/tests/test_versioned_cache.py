import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection, transaction
from django_redis import get_redis_connection

from core_apps.cache import client
from core_apps.cache.versioned_cache import (
    LARGEST,
    build_key,
    forget_version,
    get_or_compute,
    get_or_compute_json,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


class Names:
    """Computes the names of all groups, and counts how often."""

    def __init__(self, seconds: float = 0) -> None:
        self.times = 0
        self.seconds = seconds

    def __call__(self) -> bytes:
        self.times += 1
        time.sleep(self.seconds)
        return ",".join(Group.objects.order_by("name").values_list("name", flat=True)).encode()


@pytest.fixture
def names() -> Names:
    return Names()


def read_entries() -> dict[bytes, bytes]:
    client = get_redis_connection("default")
    return {key: client.get(key) for key in client.keys("versioned:*")}


def test_answer_asked_again_is_not_computed_again(names, django_assert_num_queries):
    first = get_or_compute("names", names)

    with django_assert_num_queries(1):
        assert get_or_compute("names", names) == first
    assert names.times == 1


def test_answer_after_a_write_is_new(names):
    get_or_compute("names", names)
    Group.objects.create(name="Zebra")

    assert get_or_compute("names", names).endswith(b"Zebra")


def test_answers_of_different_keys_are_different(names):
    assert get_or_compute("other", lambda: b"other") == b"other"
    assert get_or_compute("names", names) != b"other"


def test_remembered_value_is_json():
    assert [get_or_compute_json("who", lambda: {"pk": 7}) for _ in range(2)] == [{"pk": 7}] * 2
    Group.objects.create(name="Zebra")
    assert [get_or_compute_json("who", lambda: None) for _ in range(2)] == [None, None]


def test_answer_in_a_transaction_is_computed(names):
    with transaction.atomic():
        Group.objects.create(name="Zebra")
        assert get_or_compute("names", names).endswith(b"Zebra")
        transaction.set_rollback(True)

    assert not get_or_compute("names", names).endswith(b"Zebra")


def test_key_tells_nothing_and_differs_by_part_and_secret(settings):
    keys = {build_key("a", "bc"), build_key("ab", "c"), build_key("abc")}
    settings.SECRET_KEY = "another-secret"

    assert len({*keys, build_key("abc")}) == 4
    assert "secret" not in build_key("secret")


def test_version_is_asked_for_once_in_a_request_that_reads(names, django_assert_num_queries):
    get_or_compute("names", names)
    forget_version({"REQUEST_METHOD": "GET"})
    try:
        with django_assert_num_queries(1):
            assert get_or_compute_json("who", lambda: 1) == 1
            assert [get_or_compute("names", names) for _ in range(3)]
    finally:
        forget_version()
    Group.objects.create(name="Zebra")
    assert get_or_compute("names", names).endswith(b"Zebra")


def test_answer_that_is_too_long_is_computed_each_time():
    times = [get_or_compute("huge", lambda: b"x" * (LARGEST + 1)) for _ in range(2)]

    assert [len(body) for body in times] == [LARGEST + 1] * 2
    assert list(read_entries().values()) == [b"-"]


def test_answer_lives_about_a_minute():
    for number in range(50):
        get_or_compute(f"key {number}", lambda: b"")
    client = get_redis_connection("default")
    left = [client.pttl(key) for key in read_entries()]

    assert min(left) > 53_000
    assert max(left) <= 66_000
    assert max(left) - min(left) > 2_000


def test_names_of_keys_in_redis_hold_no_words(names):
    get_or_compute(build_key("ingrid@nordlys.example"), names)

    assert [key for key in read_entries() if b"ingrid" in key] == []


def in_threads(count: int, compute: Names) -> list[bytes]:
    def ask(_: int) -> bytes:
        try:
            return get_or_compute("names", compute)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


def test_fifty_who_miss_at_a_time_compute_at_most_twice():
    compute = Names(seconds=0.2)

    assert len(set(in_threads(50, compute))) == 1
    assert compute.times <= 2


def test_what_was_read_before_a_write_is_not_kept_behind_it(names):
    """The write comes when the names are read and the value is not stored yet."""

    def slow() -> bytes:
        before: bytes = names()
        Group.objects.create(name="Zebra")
        return before

    assert not get_or_compute("names", slow).endswith(b"Zebra")
    assert get_or_compute("names", names).endswith(b"Zebra")


def test_failure_is_raised_to_each_and_nothing_is_kept(names):
    def fail() -> bytes:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            get_or_compute("names", fail)

    assert get_or_compute("names", names) == names()


def test_failure_does_not_make_the_others_wait():
    class Failing(Names):
        def __call__(self) -> bytes:
            body = super().__call__()
            if self.times == 1:
                raise ValueError("the first")
            return body

    compute = Failing(seconds=0.1)
    with pytest.raises(ValueError, match="the first"):
        in_threads(20, compute)

    assert compute.times <= 3


# Faults of Redis.


@pytest.mark.parametrize("fault", ["kill", "pause", "flush", "fill", "restore a snapshot"])
def test_answer_is_right_whatever_redis_does(fault, own_redis, names):
    get_or_compute("names", names)
    if fault == "restore a snapshot":
        own_redis.client.save()
    Group.objects.create(name="Zebra")
    get_or_compute("names", names)
    if fault == "pause":
        own_redis.process.suspend()
    elif fault == "flush":
        own_redis.client.flushall()
    elif fault == "fill":
        own_redis.client.config_set("maxmemory-policy", "noeviction")
        own_redis.client.config_set("maxmemory", 1)
    else:
        own_redis.kill()
    if fault == "restore a snapshot":
        own_redis.start()

    assert get_or_compute("names", names).endswith(b"Zebra")
    Group.objects.create(name="Zulu")
    assert get_or_compute("names", names).endswith(b"Zulu")


def test_redis_that_comes_back_is_used_again(own_redis, names, monkeypatch):
    monkeypatch.setattr(client, "PAUSE", 0.1)
    own_redis.kill()
    assert get_or_compute("names", names) == get_or_compute("names", names)
    own_redis.start()
    time.sleep(0.11)
    before = names.times

    assert get_or_compute("names", names) == get_or_compute("names", names)
    assert names.times == before + 1

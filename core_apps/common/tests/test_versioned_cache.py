import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, transaction
from django_redis import get_redis_connection

from core_apps.common.versioned_cache import answer, bump, key_of, memory, remembered, store
from core_apps.common.versioned_cache.memory import Memory
from core_apps.common.versioned_cache.tally import Tally

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch):
    cache.clear()
    monkeypatch.setattr(memory, "MEMORY", Memory(memory.ROOM))
    bump()  # a test before may owe one


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


def stored() -> dict[bytes, bytes]:
    """What Redis has beside the version."""
    client = get_redis_connection("default")
    return {key: client.get(key) for key in client.keys("versioned:*") if b":version:" not in key}


def test_answer_asked_again_is_not_computed_again(names, django_assert_num_queries):
    first = answer("names", names)

    with django_assert_num_queries(0):
        assert answer("names", names) == first
    assert names.times == 1


def test_answer_after_a_write_is_new(names):
    answer("names", names)
    Group.objects.create(name="Zebra")

    assert answer("names", names).endswith(b"Zebra")


def test_answers_of_different_keys_are_different(names):
    assert answer("other", lambda: b"other") == b"other"
    assert answer("names", names) != b"other"


def test_remembered_value_is_json():
    assert [remembered("who", lambda: {"pk": 7}) for _ in range(2)] == [{"pk": 7}] * 2
    bump()
    assert [remembered("who", lambda: None) for _ in range(2)] == [None, None]


def test_answer_in_a_transaction_is_computed(names):
    with transaction.atomic():
        Group.objects.create(name="Zebra")
        assert answer("names", names).endswith(b"Zebra")
        transaction.set_rollback(True)

    assert not answer("names", names).endswith(b"Zebra")


def test_key_tells_nothing_and_differs_by_part_and_secret(settings):
    keys = {key_of("a", "bc"), key_of("ab", "c"), key_of("abc")}
    settings.SECRET_KEY = "another-secret"

    assert len({*keys, key_of("abc")}) == 4
    assert "secret" not in key_of("secret")


def test_version_is_asked_for_once_in_a_request_until_it_writes(names):
    client = get_redis_connection("default")
    answer("names", names)
    answer("names", names)

    def asked() -> int:
        return int(client.info("commandstats")["cmdstat_evalsha"]["calls"])

    before = asked()
    request_started.disconnect(close_old_connections)
    request_started.send(sender=None)
    try:
        assert remembered("who", lambda: 1) == 1
        assert [answer("names", names) for _ in range(3)]
        in_request = asked() - before
        Group.objects.create(name="Zebra")
        assert answer("names", names).endswith(b"Zebra")
    finally:
        request_finished.disconnect(close_old_connections)
        request_finished.send(sender=None)
        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)

    assert in_request == 1
    assert memory.seen_version() == ""


@pytest.mark.parametrize(("size", "is_compressed"), [(2, False), (40_000, False), (100_000, True)])
def test_only_a_long_answer_is_compressed(size, is_compressed):
    text = b"x" * size

    assert [answer("text", lambda: text), answer("text", lambda: b"")] == [text, text]

    [value] = stored().values()
    assert (len(value) < size) == is_compressed


def test_answer_that_is_too_long_is_computed_each_time():
    times = [answer("huge", lambda: b"x" * (store.LARGEST + 1)) for _ in range(2)]

    assert [len(body) for body in times] == [store.LARGEST + 1] * 2
    assert list(stored().values()) == [b"-"]


def test_answer_lives_about_a_minute():
    for number in range(50):
        answer(f"key {number}", lambda: b"")
    client = get_redis_connection("default")
    left = [client.pttl(key) for key in stored()]

    assert min(left) > 53_000
    assert max(left) <= 66_000
    assert max(left) - min(left) > 2_000


def test_names_of_keys_in_redis_hold_no_words(names):
    answer(key_of("ingrid@nordlys.example"), names)

    assert [key for key in stored() if b"ingrid" in key] == []


def in_threads(count: int, compute: Names) -> list[bytes]:
    def ask(_: int) -> bytes:
        try:
            return answer("names", compute)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(ask, range(count)))


def test_fifty_who_miss_at_a_time_compute_at_most_twice():
    compute = Names(seconds=0.2)

    assert len(set(in_threads(50, compute))) == 1
    assert compute.times <= 2


def test_what_was_read_before_a_write_is_not_kept_behind_it(names):
    """The write comes when the names are read and the answer is not kept yet."""

    def slow() -> bytes:
        before: bytes = names()
        Group.objects.create(name="Zebra")
        return before

    assert not answer("names", slow).endswith(b"Zebra")
    assert answer("names", names).endswith(b"Zebra")


def test_failure_is_raised_to_each_and_nothing_is_kept(names):
    def fail() -> bytes:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            answer("names", fail)

    assert answer("names", names) == names()
    assert list(stored().values()) == [b"-"]


def test_failure_does_not_make_the_others_wait():
    class Failing(Names):
        def __call__(self) -> bytes:
            body = super().__call__()
            if self.times == 1:
                raise ValueError("the first")
            return body

    started = time.monotonic()
    compute = Failing(seconds=0.1)
    with pytest.raises(ValueError, match="the first"):
        in_threads(20, compute)

    assert time.monotonic() - started < 2


def test_without_the_sequences_nothing_is_kept(names):
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE cache_version RENAME TO laid_aside")
        try:
            bump()
            assert answer("names", names) == answer("names", names)
        finally:
            cursor.execute("ALTER SEQUENCE laid_aside RENAME TO cache_version")

    assert names.times == 2


def test_memory_forgets_the_oldest_for_want_of_room():
    kept = Memory(room=10)
    for key in "abc":
        kept.keep("1", key, b"12345")
    kept.keep("1", "huge", b"x" * 11)
    kept.keep("1", "c", b"1")

    assert [kept.get("1", key) for key in "abc"] == [None, b"12345", b"1"]
    assert (kept.get("2", "b"), kept.get("1", "huge")) == (None, None)


def test_tally_logs_a_line_when_a_minute_is_over(caplog, monkeypatch):
    tally = Tally()
    for what in ("hits", "hits", "hits", "misses"):
        tally.add(what)
    assert caplog.records == []
    monkeypatch.setattr(tally, "_log_at", 0)
    with caplog.at_level(logging.INFO):
        tally.add("hits")

    assert [record.getMessage() for record in caplog.records] == [
        "Of the answers 0.8 came from the cache; 0 were made without it"
    ]
    assert tally.described() == {"hits": 4, "misses": 1, "bypasses": 0, "waits": 0, "hit_rate": 0.8}

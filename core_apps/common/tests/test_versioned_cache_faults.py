"""What Redis may do, on a server that belongs to the test."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from django.contrib.auth.models import Group
from django.db import connection
from django_redis import get_redis_connection

from core_apps.common import caching
from core_apps.common.breaker import Breaker
from core_apps.common.versioned_cache import answer, memory, store, versions, writing
from core_apps.common.versioned_cache.memory import Memory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_state(monkeypatch, own_redis):
    monkeypatch.setattr(memory, "MEMORY", Memory(memory.ROOM))
    monkeypatch.setattr(caching, "BREAKER", Breaker(pause=0.3, trial=0.5, name="Redis"))
    monkeypatch.setattr(writing, "DISTRUST", 3.0)
    Group.objects.all().delete()
    trust()
    yield
    trust()


def trust() -> None:
    """No test inherits what an earlier one said of its Redis."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE cache_distrusted_until RESTART")
    writing.COMMITTED._distrusted = (0.0, 0.0)


def name() -> bytes:
    return Group.objects.values_list("name", flat=True).get().encode()


def write(value: str) -> float:
    """Seconds that it took."""
    started = time.monotonic()
    if not Group.objects.update(name=value):
        Group.objects.create(name=value)
    return time.monotonic() - started


def in_thread(work: Callable[[], object]) -> None:
    def run() -> None:
        work()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@contextmanager
def when_asked(work: Callable[[], object]) -> Iterator[None]:
    """Does it once, just behind PostgreSQL's answer for the version: the reader is slow to say it to Redis."""
    done = False

    def wrapper(execute: Any, sql: str, *arguments: Any) -> Any:
        nonlocal done
        result = execute(sql, *arguments)
        if sql == versions.ASK and not done:
            done = True
            in_thread(work)
        return result

    with connection.execute_wrapper(wrapper):
        yield


def version_in_redis() -> bytes | None:
    found: bytes | None = get_redis_connection("default").get(store.version_key())
    return found


def test_version_is_leased_for_a_second():
    write("old")
    answer("name", name)

    assert 0 < get_redis_connection("default").pttl(store.version_key()) <= 1000


@pytest.mark.parametrize("flush", [True, False])
def test_slow_reader_does_not_lease_out_a_version_that_has_gone(own_redis, flush):
    write("old")
    answer("name", name)  # is kept under the version
    own_redis.client.delete(store.version_key())  # as when the lease has ended

    def others() -> None:
        write("new")
        answer("name", name)
        if flush:
            own_redis.client.flushall()

    with when_asked(others):
        assert answer("name", name) in (b"old", b"new")  # either is right: it began before the write

    assert answer("name", name) == b"new"


def test_flushed_redis_is_filled_again(own_redis):
    write("old")
    answer("name", name)
    own_redis.client.flushall()

    assert [answer("name", name), answer("name", lambda: b"kept")] == [b"old", b"old"]


def test_refused_redis_costs_no_answer_and_the_writer_waits_out_the_lease(own_redis):
    write("old")
    answer("name", name)
    own_redis.kill()

    assert answer("name", name) == b"old"
    assert 0.9 < write("new") < 1.5
    assert answer("name", name) == b"new"


def test_series_of_writes_waits_once(own_redis):
    own_redis.kill()
    write("first")
    longest = max(write(f"number {number}") for number in range(20))

    assert longest < 0.2


def test_distrusted_redis_leases_no_version_out_but_keeps_answers(own_redis):
    own_redis.kill()
    write("old")
    own_redis.start()
    time.sleep(0.4)  # the breaker's pause

    assert [answer("name", name), answer("name", lambda: b"kept")] == [b"old", b"old"]
    assert (version_in_redis() or b"?").startswith(b"?")
    time.sleep(3)
    answer("name", name)
    assert version_in_redis() == (versions.current() or ("", False))[0].encode()


def test_paused_redis_gives_nobody_the_old_version_when_it_goes_on(own_redis):
    write("old")
    answer("name", name)
    own_redis.process.suspend()
    took = write("new")
    own_redis.process.resume()

    assert answer("name", name) == b"new"
    time.sleep(0.4)
    assert answer("name", name) == b"new"
    assert 0.9 < took < 1.6


def test_silent_redis_costs_a_reader_one_timeout(own_redis):
    write("old")
    own_redis.process.suspend()
    started = time.monotonic()
    assert {answer("name", name) for _ in range(20)} == {b"old"}
    own_redis.process.resume()

    assert time.monotonic() - started < 0.6


def test_redis_restored_from_a_snapshot_loses_the_version_that_it_brings(own_redis):
    write("old")
    answer("name", name)
    own_redis.client.persist(store.version_key())  # else its lease might end before the server is back
    own_redis.client.save()
    write("new")
    own_redis.kill()
    own_redis.start()
    assert version_in_redis()  # the old one, and for ever

    assert answer("name", name) == b"new"


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_full_redis_costs_no_answer(own_redis, policy):
    write("old")
    answer("name", name)
    own_redis.client.config_set("maxmemory-policy", policy)
    own_redis.client.config_set("maxmemory", 1)

    assert [answer("name", name) for _ in range(3)] == [b"old"] * 3
    assert write("new") < 0.3  # what removes is not refused
    assert [answer("name", name) for _ in range(3)] == [b"new"] * 3
    assert [answer("name 2", name) for _ in range(3)] == [b"new"] * 3


def test_redis_that_may_not_be_written_to_makes_the_writer_wait(own_redis):
    write("old")
    answer("name", name)
    own_redis.client.replicaof("127.0.0.1", "1")

    assert answer("name", name) == b"old"
    assert 0.9 < write("new") < 1.5
    assert answer("name", name) == b"new"


def test_breaker_says_when_it_opens_and_closes(own_redis, caplog):
    caplog.set_level("INFO", logger="core_apps.common.breaker")
    own_redis.kill()
    answer("name", lambda: b"")
    own_redis.start()
    time.sleep(0.4)
    answer("name", lambda: b"")

    said = [record.getMessage() for record in caplog.records if record.name == "core_apps.common.breaker"]
    assert said[0] == "Redis does not answer; it is tried again every 0.3 s"
    assert said[1].startswith("Redis answers again, after ")
    assert len(said) == 2


def test_pipeline_is_guarded(own_redis):
    own_redis.process.suspend()
    started = time.monotonic()
    for _ in range(10):
        with pytest.raises(redis.RedisError):
            get_redis_connection("default").pipeline().get("anything").execute()
    own_redis.process.resume()

    assert time.monotonic() - started < 0.6

"""No read is ever stale, for every kind of write and every failure of Redis."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from core_apps.accounts.models import User
from core_apps.cache import client
from core_apps.cache.versioned_cache import get_or_compute_json
from customers.models import Customer, Tag
from customers.tests.api import caller_of
from customers.tests.cached_reading import read, state
from customers.tests.cached_writing import Writers
from customers.tests.factories import make_customer

# More of them by the environment, for an hour's run.
EXAMPLES = int(os.environ.get("CACHE_EXAMPLES", "8"))
STEPS = int(os.environ.get("CACHE_STEPS", "25"))
ROWS = range(3)
KILLED = "by a process that is killed right after its COMMIT"
PATHS = [*sorted(name for name in vars(Writers) if name.startswith("by_")), KILLED]


class World:
    """Customers, with every state that each has had in the order of their commits."""

    def __init__(self, writers: Writers, second: "SecondProcess", redis: Any) -> None:
        self.writers, self.second, self.redis = writers, second, redis
        self.begin()

    def begin(self) -> None:
        Customer.objects.all().delete()
        self.keys = [make_customer(email=f"row{row}@nordlys.example").pk for row in ROWS]
        self.locks = [threading.Lock() for _ in ROWS]
        self.history = [[state(key)] for key in self.keys]
        self.number = 0

    def write(self, path: str, row: int) -> None:
        with self.locks[row]:
            self.number += 1
            write = self.second.write_and_be_killed if path == KILLED else self.writers.paths[path]
            write(self.keys[row], f"note-{self.number}-{random.random()}")
            self.history[row].append(state(self.keys[row]))

    def read(self, where: str, row: int) -> None:
        committed = len(self.history[row]) - 1
        found = READERS[where](self, self.keys[row])
        with self.locks[row]:  # who writes just now says what, first
            known = self.history[row][committed:]
        assert found in known, f"{where}: {found} instead of {known}"

    def in_request(self, key: int) -> Any:
        """Reads twice in one, whose version is asked for once."""
        with request("GET"):
            assert get_or_compute_json("who", lambda: 1) == 1
            return [json.loads(read("request", key)) for _ in range(2)][1]

    def by_api(self, key: int) -> Any:
        customer = Customer.objects.get(pk=key)
        body = caller_of(self.writers.people[1]).get(f"/api/v1/customers/{customer.public_id}/").json()
        return [body["notes"], *state(key)[1:]]


READERS: dict[str, Callable[[World, int], Any]] = {
    "here": lambda world, key: json.loads(read("plain", key)),
    "in a request": World.in_request,
    "another process": lambda world, key: world.second.read(key, "plain"),
    "API": World.by_api,
}


@contextmanager
def request(method: str) -> Iterator[None]:
    """As the server begins and ends one, but with the connection that it has."""
    for sent in (request_started, request_finished):
        sent.disconnect(close_old_connections)
    request_started.send(sender=None, environ={"REQUEST_METHOD": method})
    try:
        yield
    finally:
        request_finished.send(sender=None)
        for sent in (request_started, request_finished):
            sent.connect(close_old_connections)


class SecondProcess:
    """Has its own connections, and its own opinion of Redis."""

    def __init__(self, redis_url: str) -> None:
        parameters = connection.settings_dict
        user, password, host, port = (parameters[name] for name in ("USER", "PASSWORD", "HOST", "PORT"))
        database = f"postgresql://{user}:{password}@{host}:{port}/{parameters['NAME']}"
        self._environment = os.environ | {"DATABASE_URL": database, "REDIS_URL": redis_url, "LOG_LEVEL": "ERROR"}
        self._lock = threading.Lock()
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "customers.tests.second_process"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def _say(self, *words: object) -> str:
        assert self._process.stdin
        assert self._process.stdout
        print(*words, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()

    def read(self, key: int, cache_key: str) -> Any:
        with self._lock:
            return json.loads(self._say("read", key, cache_key))

    def write_and_be_killed(self, key: int, text: str) -> None:
        with self._lock:
            assert self._say("write", key, text) == ""
            self.stop()
            assert self._process.returncode == -signal.SIGKILL
            self._process = self._start()

    def stop(self) -> None:
        self._process.communicate()


class Consistency(RuleBasedStateMachine):
    world: World

    @initialize()
    def begin(self) -> None:
        self.redis = self.world.redis
        self.recover()
        self.world.begin()

    def teardown(self) -> None:
        self.recover()

    def recover(self) -> None:
        """Redis is there, goes on and has room."""
        if not self.redis.process.is_running():
            self.redis.start()
        self.redis.process.resume()
        self.is_paused = False
        self.redis.client.config_set("maxmemory", 64_000_000)

    @property
    def is_listening(self) -> bool:
        return self.redis.process.is_running() and not self.is_paused

    @rule(path=st.sampled_from(PATHS), row=st.sampled_from(ROWS))
    def write(self, path: str, row: int) -> None:
        self.world.write(path, row)

    @rule(where=st.sampled_from(sorted(READERS)), row=st.sampled_from(ROWS))
    def read(self, where: str, row: int) -> None:
        self.world.read(where, row)

    @rule(
        paths=st.lists(st.sampled_from(PATHS), min_size=1, max_size=3),
        readers=st.lists(st.sampled_from(sorted(READERS)), min_size=2, max_size=5),
        row=st.sampled_from(ROWS),
        fault=st.sampled_from(["flush", "kill", "pause", "go_on", "fill", "nothing"]),
    )
    def all_at_once(self, paths: list[str], readers: list[str], row: int, fault: str) -> None:
        def read_on(where: str) -> None:
            for _ in range(5):
                self.world.read(where, row)

        work: list[Callable[[], None]] = [partial(self.world.write, path, row) for path in paths]
        work += [partial(read_on, where) for where in readers]
        work.append(getattr(self, fault))
        with ThreadPoolExecutor(len(work)) as threads:
            done = [threads.submit(in_own_connection, one) for one in work]
        for one in done:
            one.result()

    @rule(path=st.sampled_from(PATHS), row=st.sampled_from(ROWS))
    def write_without_redis_beside_a_process_that_has_it(self, path: str, row: int) -> None:
        self.recover()
        self.world.read("another process", row)
        self.lose_redis()
        self.world.write(path, row)
        self.world.read("another process", row)

    @rule(path=st.sampled_from(PATHS), row=st.sampled_from(ROWS))
    def write_between_two_readings_of_one_request(self, path: str, row: int) -> None:
        with request("POST"):
            for _ in range(2):
                self.world.read("here", row)
            self.world.write(path, row)
            self.world.read("here", row)

    @rule()
    def snapshot(self) -> None:
        """What a Redis that is killed later comes back with."""
        if self.is_listening:
            self.redis.client.save()

    @rule()
    def flush(self) -> None:
        if self.is_listening:
            self.redis.client.flushall()

    @rule()
    def pause(self) -> None:
        if self.redis.process.is_running():
            self.is_paused = True
            self.redis.process.suspend()

    @rule()
    def kill(self) -> None:
        if self.redis.process.is_running():
            self.redis.kill()

    @rule()
    def fill(self) -> None:
        """No room, and nothing that may be thrown away."""
        if self.is_listening:
            self.redis.client.config_set("maxmemory-policy", "noeviction")
            self.redis.client.config_set("maxmemory", 1)

    @rule()
    def go_on(self) -> None:
        self.recover()

    def nothing(self) -> None:
        pass

    @rule()
    def lose_redis(self) -> None:
        """This process alone does not reach it for a while; the other does."""
        client._retry_at = time.monotonic() + 1

    @rule(seconds=st.sampled_from([0.05, 0.3]))
    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def in_own_connection(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()


@pytest.fixture
def world(transactional_db, own_redis, alice, tmp_path, settings, monkeypatch) -> Iterator[World]:
    settings.API_RATE_PER_TOKEN = 1_000_000
    monkeypatch.setattr(client, "PAUSE", 0.3)
    Tag.objects.bulk_create([Tag(name=f"tag {number}") for number in range(100)])
    carol = User.objects.create_superuser("carol@example.com", name="Carol")
    second = SecondProcess(own_redis.url)
    yield World(Writers([alice, carol], tmp_path), second, own_redis)
    second.stop()


def test_no_reader_is_told_of_less_than_was_committed_before_it_asked(world):
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        phases=[Phase.generate],  # what depends on time is not made smaller by trying again
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(type("Run", (Consistency,), {"world": world}), settings=chosen)

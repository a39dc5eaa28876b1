"""Liveness and readiness for orchestrators, answered before any other middleware.

Liveness touches nothing: a restart of web does not bring PostgreSQL back. Readiness asks PostgreSQL and Redis,
each in a thread of its own, because a server that hangs silently leaves no other way to keep to a time limit.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.utils.crypto import constant_time_compare
from django_redis import get_redis_connection

from core_apps.common import caching
from core_apps.common.versioned_cache.tally import TALLY

LIVENESS_PATHS = frozenset({"/health/", "/api/v1/health/"})
READINESS_PATH = "/api/v1/ready/"
BUDGET = 0.9  # seconds for all checks together; the answer is due within one


class ProbeMiddleware:
    """Answers the probes for every Host, over plain HTTP and without a log line; passes all else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in LIVENESS_PATHS:
            return self.answer(request, liveness)
        if request.path == READINESS_PATH:
            return self.answer(request, partial(readiness, request))
        return self.get_response(request)

    @staticmethod
    def answer(request: HttpRequest, probe: Callable[[], HttpResponse]) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        response = probe()
        response["Cache-Control"] = "no-store"
        return response


def not_of_a_probe(record: logging.LogRecord) -> bool:
    """A logging filter: Django reports each 5xx, and an orchestrator asks every few seconds."""
    request = getattr(record, "request", None)
    return request is None or request.path != READINESS_PATH


class Check:
    """One question to one server, asked by at most one thread at a time however many probes wait for it."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._thread = threading.Thread()
        self._error: Exception | None = None

    def start(self) -> None:
        with self._lock:
            if not self._thread.is_alive():
                # A daemon, so that a silent server cannot keep the process from ending.
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def failed(self, deadline: float) -> bool:
        """Whether there is an error, or no answer by the deadline (on time.monotonic's clock)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return self._thread.is_alive() or self._error is not None

    def _run(self) -> None:
        try:
            self._ask()
            self._error = None
        except Exception as error:
            self._error = error
        finally:
            connections.close_all()  # this thread's own; the next thread proves that a new one can be made


class UnappliedMigrations(Exception):
    """The code is newer than the schema."""


_migrated = threading.Event()


def ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_migrations() -> None:
    """Asks until the first yes, which holds for the life of the process."""
    if _migrated.is_set():
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise UnappliedMigrations
    _migrated.set()


def ask_cache() -> None:
    get_redis_connection("default").ping()


DATABASE, MIGRATIONS, CACHE = Check(ask_database), Check(ask_migrations), Check(ask_cache)


def liveness() -> HttpResponse:
    return HttpResponse(b'{"status": "ok"}', content_type="application/json")


def readiness(request: HttpRequest) -> JsonResponse:
    """200 when this process can serve, `degraded` included; 503 with the failing part when it cannot.

    With `?details`, staff who are logged in are told of this process' cache as well; others get the bare answer.
    """
    deadline = time.monotonic() + BUDGET
    for check in (DATABASE, MIGRATIONS, CACHE):
        check.start()
    if DATABASE.failed(deadline):
        return JsonResponse({"status": "unavailable", "failing": ["database"]}, status=503)
    if MIGRATIONS.failed(deadline):
        return JsonResponse({"status": "unavailable", "failing": ["migrations"]}, status=503)
    details = {"details": cache_details()} if "details" in request.GET and is_of_staff(request, deadline) else {}
    if CACHE.failed(deadline):
        return JsonResponse({"status": "degraded", "failing": ["cache"]} | details)
    return JsonResponse({"status": "ready"} | details)


class NotStaff(Exception):
    """Nobody who may know more than the public does."""


def is_of_staff(request: HttpRequest, deadline: float) -> bool:
    """As the session says that the request's cookie names; reading it may take as long as any check."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    check = Check(lambda: ask_staff(key))
    if key:
        check.start()
    return bool(key) and not check.failed(deadline)


def ask_staff(key: str | None) -> None:
    """Not by `auth.get_user`, which may put another session in the place of this one, and here no cookie would tell."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user_model()._default_manager.filter(pk=session.get(SESSION_KEY), is_active=True).first()
    given = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()] if user else []
    if not any(constant_time_compare(given, valid) for valid in hashes) or not getattr(user, "is_staff", False):
        raise NotStaff


def cache_details() -> dict[str, Any]:
    changed = datetime.fromtimestamp(caching.BREAKER.changed_at, UTC).isoformat(timespec="seconds")
    breaker = {"state": "open" if caching.BREAKER.is_open else "closed", "since": changed}
    return {"process": os.getpid(), "cache": TALLY.described(), "breaker": breaker}

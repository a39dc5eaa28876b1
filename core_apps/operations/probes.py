"""Liveness and readiness for orchestrators, answered before any other middleware.

Liveness touches nothing: a restart of web does not bring PostgreSQL back. Readiness asks PostgreSQL and Redis,
each in a thread of its own, because a server that hangs silently leaves no other way to keep to a time limit.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django_redis import get_redis_connection

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
            return self.answer(request, readiness)
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


def readiness() -> JsonResponse:
    """200 when this process can serve, `degraded` included; 503 with the failing part when it cannot."""
    deadline = time.monotonic() + BUDGET
    for check in (DATABASE, MIGRATIONS, CACHE):
        check.start()
    if DATABASE.failed(deadline):
        return JsonResponse({"status": "unavailable", "failing": ["database"]}, status=503)
    if MIGRATIONS.failed(deadline):
        return JsonResponse({"status": "unavailable", "failing": ["migrations"]}, status=503)
    if CACHE.failed(deadline):
        return JsonResponse({"status": "degraded", "failing": ["cache"]})
    return JsonResponse({"status": "ready"})

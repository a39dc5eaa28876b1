"""Liveness and readiness probes, answered before any other middleware.

Liveness checks nothing else: restarting web does not bring PostgreSQL back. Readiness checks PostgreSQL and Redis, each
in its own thread, because a hanging server leaves no other way to enforce a time limit.
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
BUDGET = 0.9  # seconds for all checks together; probes time out after one


class ProbeMiddleware:
    """Answers probes for every Host, over plain HTTP and without an access log line."""

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


def is_not_probe(record: logging.LogRecord) -> bool:
    """A logging filter: Django logs each 5xx, and orchestrators probe every few seconds."""
    request = getattr(record, "request", None)
    return request is None or request.path != READINESS_PATH


class Check:
    """A check of one server, run by at most one thread, however many probes wait for it."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._thread = threading.Thread()
        self._error: Exception | None = None

    def start(self) -> None:
        with self._lock:
            if not self._thread.is_alive():
                # A daemon thread, so that a hanging server does not block the exit of the process.
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def has_failed(self, deadline: float) -> bool:
        """Whether there is an error, or no answer by the deadline (on time.monotonic's clock)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return self._thread.is_alive() or self._error is not None

    def _run(self) -> None:
        try:
            self._check()
            self._error = None
        except Exception as error:
            self._error = error
        finally:
            connections.close_all()  # the next check must prove that a new connection can be made


class UnappliedMigrationsError(Exception):
    """The code is newer than the schema."""


_migrated = threading.Event()


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_migrations() -> None:
    """Checks until all migrations are applied, which then holds for the life of the process."""
    if _migrated.is_set():
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise UnappliedMigrationsError
    _migrated.set()


def check_cache() -> None:
    get_redis_connection("default").ping()


DATABASE, MIGRATIONS, CACHE = Check(check_database), Check(check_migrations), Check(check_cache)


def liveness() -> HttpResponse:
    return HttpResponse(b'{"status": "ok"}', content_type="application/json")


def readiness() -> JsonResponse:
    """200 if this process can serve, also if `degraded`; otherwise 503 with the failing part."""
    deadline = time.monotonic() + BUDGET
    for check in (DATABASE, MIGRATIONS, CACHE):
        check.start()
    if DATABASE.has_failed(deadline):
        return JsonResponse({"status": "unavailable", "failing": ["database"]}, status=503)
    if MIGRATIONS.has_failed(deadline):
        return JsonResponse({"status": "unavailable", "failing": ["migrations"]}, status=503)
    if CACHE.has_failed(deadline):
        return JsonResponse({"status": "degraded", "failing": ["cache"]})
    return JsonResponse({"status": "ready"})

"""Metrics for Prometheus, on the port of the probes, to which no route of the site leads: probe_listener.py.

Each worker process writes files named after its slot, not after its process id: there are as many as workers, however
often these are replaced (config/gunicorn.py). One histogram of our own costs a request less than a library that
measures everything: bench/metrics.py.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.db import connections
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import autodiscover_modules
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app, multiprocess, values

from core_apps.operations import database_measurements  # noqa: F401 - declares them
from core_apps.operations.measurements import MeasurementCollector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)  # seconds; none is longer than the statement timeout
slot = "master"

if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]

REQUESTS = Histogram(
    "http_request_duration_seconds", "Time until the response", ("route", "method", "status"), buckets=BUCKETS
)
# Without labels: a series that begins with its first error would hide that from rate().
ERRORS = Counter("http_server_errors", "Responses with a status of 500 or more")
# The library's own one is that of each process, and is not shown where there are several.
STARTED = Gauge("process_start_time_seconds", "When Gunicorn started", multiprocess_mode="max", registry=None)
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests that are being answered", multiprocess_mode="livesum")
QUERIES = Counter("database_queries", "Statements that were sent to PostgreSQL")
QUERY_SECONDS = Counter("database_query_seconds", "Time until PostgreSQL answered them")


class MetricsMiddleware:
    """Counts requests by the name of their route. No label has a value that the client chooses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        connection_created.connect(time_queries, dispatch_uid="metrics")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        IN_FLIGHT.inc()
        try:
            response = self.get_response(request)
        finally:
            IN_FLIGHT.dec()
        route = request.resolver_match.view_name if request.resolver_match else ""
        method = request.method if request.method in METHODS else "other"
        status = f"{response.status_code // 100}xx"
        if response.status_code >= 500:
            ERRORS.inc()
        REQUESTS.labels(route, method, status).observe(time.perf_counter() - started)
        return response


def time_queries(connection: Any, **_signal: Any) -> None:
    """A receiver of `connection_created`."""
    if time_query not in connection.execute_wrappers:  # the connection was opened again
        connection.execute_wrappers.append(time_query)


def time_query(execute: Callable[..., Any], *arguments: Any) -> Any:
    started = time.perf_counter()
    try:
        return execute(*arguments)
    finally:
        QUERIES.inc()
        QUERY_SECONDS.inc(time.perf_counter() - started)


def take_slot(used: Collection[str]) -> str:
    """Choose the files of the worker that is about to be forked; two writers of one would lose counts."""
    global slot
    slot = next(name for name in map(str, range(len(used) + 1)) if name not in used)
    return slot


def free_slot(name: str) -> None:
    """Its counts stay; what the worker was doing when it ended does not."""
    multiprocess.mark_process_dead(name)  # type: ignore[no-untyped-call]


def build_applications() -> dict[str, WSGIApplication]:
    """WSGI applications by path: what the workers of this container count, and what is in the database."""
    autodiscover_modules("measurements")
    counts, measurements = CollectorRegistry(), CollectorRegistry()
    multiprocess.MultiProcessCollector(counts)  # type: ignore[no-untyped-call]
    measurements.register(MeasurementCollector())
    measure: WSGIApplication = make_wsgi_app(measurements)

    def answer_and_disconnect(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return measure(environ, start_response)
        finally:
            connections.close_all()

    # Apart, because a database that does not answer must not hide the counts, and one container's answer is enough.
    return {"/metrics": make_wsgi_app(counts), "/metrics/database": answer_and_disconnect}

"""Traces by OpenTelemetry: each request and background task, and the statements that it sends to PostgreSQL.

Imported only where OTEL_EXPORTER_OTLP_ENDPOINT is set. OpenTelemetry's own instrumentation of Django records addresses,
browsers and whole URLs, with the tokens and search words in them; here a span names the route, and statements without
their parameters.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracer, Span, SpanKind, StatusCode, Tracer, get_current_span

from core_apps.operations.logs import request_id
from core_apps.tasks import running

LONGEST = 2000  # characters of a statement
SEND_SECONDS = 3  # for which the end of a worker may wait for a collector that is away
tracer: Tracer = NoOpTracer()  # of this process, until it starts one


def start_traces(service: str) -> TracerProvider:
    """Send spans from now on, by a thread of this process: after a fork, which copies no thread."""
    global tracer
    exporter = OTLPSpanExporter(
        f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces",
        headers=settings.OTEL_EXPORTER_OTLP_HEADERS,
        timeout=SEND_SECONDS,
    )
    limits = SpanLimits(max_span_attribute_length=LONGEST)
    provider = TracerProvider(resource=Resource.create({"service.name": service}), span_limits=limits)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer(__name__)
    connection_created.connect(trace_queries, dispatch_uid="traces")
    running.surround = record
    return provider


class TracesMiddleware:
    """Records requests by the name of their route, and their id, by which logs have them as well."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with record(str(request.method), SpanKind.SERVER) as span:
            response = self.get_response(request)
            route = request.resolver_match.view_name if request.resolver_match else ""
            span.update_name(f"{request.method} {route}")
            span.set_attribute("http.request.method", str(request.method))
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_attribute("request_id", request_id.get() or "")
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
        return response


def trace_queries(connection: Any, **_signal: Any) -> None:
    """A receiver of `connection_created`."""
    if trace_query not in connection.execute_wrappers:  # the connection was opened again
        # Outside of send_cause (core_apps/history), which writes the user into a statement.
        connection.execute_wrappers.insert(0, trace_query)


def trace_query(execute: Callable[..., Any], sql: Any, *arguments: Any) -> Any:
    # Not what workers ask every two seconds.
    if not get_current_span().is_recording():
        return execute(sql, *arguments)
    statement = str(sql)
    with record(statement.lstrip().partition(" ")[0], SpanKind.CLIENT) as span:
        span.set_attribute("db.system.name", "postgresql")
        span.set_attribute("db.query.text", statement)
        return execute(sql, *arguments)


@contextmanager
def record(name: str, kind: SpanKind = SpanKind.CONSUMER) -> Iterator[Span]:
    """Of an error, only the class: its message may contain the values of a row."""
    with tracer.start_as_current_span(name, kind=kind, record_exception=False, set_status_on_exception=False) as span:
        try:
            yield span
        except Exception as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise

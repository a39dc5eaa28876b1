"""A collector of OpenTelemetry that listens on loopback, and keeps the spans that it is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []
        # As of a vendor: with a path, and a key in a header
        self.settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_port}/otlp",
            "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=k",
        }

    def read_spans(self) -> list[tuple[str, Any]]:
        """Return each span with the name of its service."""
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = str(read_attributes(resource.resource)["service.name"])
                found += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return found


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        expected = self.path == "/otlp/v1/traces" and self.headers["X-Key"] == "k"
        if expected:
            self.server.bodies.append(body)
        self.send_response(200 if expected else 404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def read_attributes(holder: Any) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in holder.attributes}


@contextmanager
def run_collector() -> Iterator[Collector]:
    with Collector() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()

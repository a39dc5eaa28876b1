"""What counting costs a request: `make bench-metrics`.

The same empty view, through Django's handler in this process, with and without MetricsMiddleware, in turns. The metrics
are those of several processes, which write to mapped files.
"""

import os
import statistics
import tempfile
import time

os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp()

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.test import RequestFactory, override_settings  # noqa: E402
from django.urls import path  # noqa: E402

REQUESTS, ROUNDS, BAR = 5000, 9, 1.15
MIDDLEWARE = [name for name in settings.MIDDLEWARE if "metrics" not in name]
METRICS = "core_apps.operations.metrics.MetricsMiddleware"


def answer(_request: HttpRequest) -> HttpResponse:
    return HttpResponse()


urlpatterns = [path("empty/", answer, name="empty")]


def measure(middleware: list[str]) -> float:
    """Return the microseconds of a request."""
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware, ALLOWED_HOSTS=["*"]):
        handler, environ = WSGIHandler(), RequestFactory().get("/empty/").environ
        started = time.process_time()
        for _ in range(REQUESTS):
            handler(dict(environ), lambda *_: None)
        return (time.process_time() - started) / REQUESTS * 1e6


def report(name: str, without: list[str]) -> None:
    with_metrics = [*without[:1], METRICS, *without[1:]]
    pairs = [(measure(without), measure(with_metrics)) for _ in range(ROUNDS)]
    off, on = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(on / off for off, on in pairs)
    print(f"{name:32} {off:8.1f} {on:8.1f} {ratio:8.2f}", flush=True)


def main() -> None:
    print(f"{'CPU per request, µs':32} {'off':>8} {'on':>8} {'ratio':>8}")
    report("no other middleware", [])
    report(f"all of the site (bar {BAR})", MIDDLEWARE)


if __name__ == "__main__":
    main()

"""Gunicorn's settings for config.wsgi: `gunicorn config.wsgi:application -c config/gunicorn.py`."""

import json
import os
import shutil
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from socket import socket
from typing import Any

from django.conf import settings
from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]

from core_apps.operations.probe_listener import ProbeListener

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Where the workers count, for as long as Gunicorn runs; the library looks for it when it is imported.
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
if settings.METRICS and METRICS_DIRECTORY not in os.environ:
    os.environ[METRICS_DIRECTORY] = tempfile.mkdtemp(prefix="metrics-")


def get_cpu_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the CPUs available to this container: its quota (cgroup v2 or v1), or those of the host."""
    v2, v1 = cgroup / "cpu.max", cgroup / "cpu/cpu.cfs_quota_us"
    if v2.exists():
        quota, period = v2.read_text().split()
    elif v1.exists():
        quota, period = v1.read_text(), v1.with_name("cpu.cfs_period_us").read_text()
    else:
        quota, period = "max", "1"
    limited = quota.strip() not in ("max", "-1")
    return int(quota) / int(period) if limited else float(os.cpu_count() or 1)


def write_problem(client: socket, status: int, reason: str, detail: str) -> None:
    """Refuse a request that Gunicorn cannot parse, as the API does: with a problem of RFC 9457."""
    problem = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail or reason}
    body = json.dumps(problem).encode()
    head = [
        f"HTTP/1.1 {status} {reason}",
        "Connection: close",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
    ]
    util.write_nonblock(client, "\r\n".join([*head, "", ""]).encode() + body)


# Gunicorn has no setting for its error page, which is HTML.
util.write_error = write_problem
bind = f"{settings.WEB_HOST}:{settings.PORT}"
# Where it is set, probes have a port of their own, and are answered while all threads are busy.
PROBE_PORT = os.environ.get("PROBE_PORT")
listeners: list[ProbeListener] = []


def when_ready(server: Arbiter) -> None:
    applications = {}
    if settings.METRICS:
        from core_apps.operations import metrics

        metrics.STARTED.set(time.time())
        applications = metrics.build_applications()
    if PROBE_PORT:
        listeners.append(ProbeListener(settings.WEB_HOST, int(PROBE_PORT), server.app.wsgi(), applications))


def pre_fork(server: Arbiter, worker: Any) -> None:
    if settings.METRICS:
        from core_apps.operations.metrics import take_slot

        worker.slot = take_slot([other.slot for other in server.WORKERS.values()])


def child_exit(_server: Arbiter, worker: Any) -> None:
    if settings.METRICS:
        from core_apps.operations.metrics import free_slot

        free_slot(worker.slot)


def on_exit(_server: Arbiter) -> None:
    if settings.METRICS:
        shutil.rmtree(os.environ[METRICS_DIRECTORY], ignore_errors=True)


def post_worker_init(_worker: object) -> None:
    for listener in listeners:
        listener.start()
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from core_apps.operations.traces import start_traces

        start_traces("web")


def worker_exit(_server: Arbiter, _worker: object) -> None:
    for listener in listeners:
        listener.stop()


# Requests mostly wait for PostgreSQL; threads share memory, further processes would not.
worker_class = "gthread"
threads = 4
# A worker whose threads are all busy leaves new connections to the others. For that no connection may be kept: Gunicorn
# counts idle ones, too, and nginx keeps none.
worker_connections = threads
keepalive = 0
# One process per CPU, but at least two: the crash of one must not stop the service.
workers = settings.WEB_CONCURRENCY or max(2, round(get_cpu_limit()))
# The application is loaded once and its memory shared; an error in it fails the start instead of each worker.
preload_app = True
# Limits the effect of memory leaks; the jitter keeps workers from restarting at the same time.
max_requests = 2000
max_requests_jitter = 400
# A heartbeat file on a slow disk would make a healthy worker look dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - no file name is guessable
# It would be created in the home directory, which the container's user does not have.
control_socket_disable = True
# Seconds for running requests at shutdown: more than the statement timeout (15), and less than whatever runs containers
# waits before it kills (config/tests/test_times.py).
graceful_timeout = 25
# Only these proxies may set the client's address and scheme.
forwarded_allow_ips = settings.FORWARDED_ALLOW_IPS
# The application writes the access log; Gunicorn's own messages use the same formatter.
logconfig_dict = settings.LOGGING

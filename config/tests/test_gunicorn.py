import http.client
import json
import os
import re
import runpy
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from config import gunicorn
from config.local.servers import find_free_port

CHECKOUT = Path(django_settings.BASE_DIR)
PROBE_PORT = find_free_port()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, float(os.cpu_count() or 1)),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float(os.cpu_count() or 1)),
        ({}, float(os.cpu_count() or 1)),
    ],
)
def test_cpu_limit_is_that_of_the_container(files, expected, tmp_path):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    assert gunicorn.get_cpu_limit(tmp_path) == expected


def test_workers_follow_web_concurrency(settings):
    settings.WEB_CONCURRENCY = 7

    assert runpy.run_path(str(CHECKOUT / "config/gunicorn.py"))["workers"] == 7


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a Gunicorn with one worker, which answers probes on PROBE_PORT."""
    command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-c", "config/gunicorn.py"]
    environment = os.environ | {"PROBE_PORT": str(PROBE_PORT)}
    with subprocess.Popen(
        [*command, "-w1", "-b127.0.0.1:0"], cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr
        listening = next(line for line in server.stderr if "Listening at" in line)
        yield int(re.findall(r"127\.0\.0\.1:(\d+)", listening)[0])
        server.terminate()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET /api/v1/\x00 HTTP/1.1", 400), (b"GET /" + b"x" * 5000 + b" HTTP/1.1", 414), (b"GET / HTTP/9.9", 400)],
)
def test_request_that_gunicorn_refuses_gets_a_problem(request_line, status, port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request_line + b"\r\nHost: localhost\r\n\r\n")
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    assert json.loads(body).keys() == {"type", "title", "status", "detail"}
    assert (int(head.split()[1]), json.loads(body)["status"]) == (status, status)


def get_status(port: int, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=1)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def test_probes_are_answered_while_all_threads_are_busy(port):
    assert get_status(port, "/health/") == 200
    with ExitStack() as clients:
        for _ in range(gunicorn.threads):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"GET / HTTP/1.1\r\nHost: ")  # a thread waits for the rest
        with pytest.raises(TimeoutError):
            get_status(port, "/health/")
        assert [get_status(PROBE_PORT, path) for path in ("/health/", "/api/v1/health/", "/admin/")] == [200, 200, 404]


def test_configuration_is_accepted_by_gunicorn():
    command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-c", "config/gunicorn.py"]

    result = subprocess.run([*command, "--check-config"], cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")


def get_text(port: int, path: str) -> str | None:
    """Return None if the connection is closed without a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(connection), suppress(ConnectionError):
        connection.request("GET", path, headers={"Host": "localhost"})
        return connection.getresponse().read().decode()
    return None


def read_counts(metrics: str) -> dict[str, float]:
    """The number of requests by route."""
    counts: dict[str, float] = {}
    for route, count in re.findall(
        r'^http_request_duration_seconds_count\{.*route="([^"]*)".*\} (\S+)$', metrics, re.M
    ):
        counts[route] = counts.get(route, 0) + float(count)
    return counts


@pytest.fixture
def measured(tmp_path) -> Iterator[tuple[int, Path]]:
    """The port of a Gunicorn whose two workers are replaced every few requests, and where they count."""
    command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-c", "config/gunicorn.py"]
    limits = ["-w2", "-b127.0.0.1:0", "--max-requests=5", "--max-requests-jitter=0"]
    settings = {
        "METRICS": "true",
        "HTTPS": "false",
        "PROBE_PORT": str(PROBE_PORT),
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
    }
    with subprocess.Popen(
        [*command, *limits], cwd=CHECKOUT, env=os.environ | settings, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr
        listening = next(line for line in server.stderr if "Listening at" in line)
        reader = threading.Thread(target=server.stderr.read, daemon=True)  # so that its log does not block it
        reader.start()
        yield int(re.findall(r"127\.0\.0\.1:(\d+)", listening)[0]), tmp_path
        server.terminate()
        reader.join()


def ask(port: int, path: str) -> None:
    while get_text(port, path) is None:
        pass  # its worker was replaced when it had the connection, but no request yet


def test_probe_that_has_begun_is_answered_by_a_worker_that_is_replaced(measured):
    port, _ = measured
    ask(port, "/admin/login/")  # so that its workers have started
    with socket.create_connection(("127.0.0.1", PROBE_PORT), timeout=10) as connection:
        connection.sendall(b"GET /health/ HTTP/1.0\r\n")
        for _ in range(12):  # each worker serves five
            ask(port, "/admin/login/")
        connection.sendall(b"\r\n")

        assert connection.recv(65536).startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize("requests", [40, pytest.param(1250, marks=pytest.mark.full)])
def test_requests_are_counted_by_route_while_workers_are_replaced(requests, measured):
    port, directory = measured
    for number in range(requests):
        for path in ("/admin/login/", f"/{number}/random?{number}"):
            ask(port, path)

    started = time.perf_counter()
    metrics = get_text(PROBE_PORT, "/metrics") or ""
    print(f"after {2 * requests} requests, metrics take {(time.perf_counter() - started) * 1000:.0f} ms")

    assert read_counts(metrics) == {"admin:login": requests, "": requests}
    assert "random" not in metrics
    assert re.search(r"^process_start_time_seconds [1-9]", metrics, re.M)
    errors = re.findall(r'^http_request_duration_seconds_count\{.*status="5xx"\} (\S+)$', metrics, re.M)
    assert re.findall(r"^http_server_errors_total (\S+)$", metrics, re.M) == [str(sum(map(float, errors)))]
    names = {path.name.rpartition("_")[2] for path in directory.iterdir()}
    assert names <= {"master.db", "0.db", "1.db", "2.db"}
    assert "http_requests" not in (get_text(port, "/metrics") or "")

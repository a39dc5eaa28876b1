"""Failures of the basic tier as users see them: killed processes, stopped and silent servers."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from urllib.parse import urlencode

import pytest

from e2e.load import Load, Request, send
from e2e.site import ask
from e2e.stack import ADMINISTRATOR, DATABASE, PASSWORD, Stack, docker, seconds_until

HEALTH = Request("GET", "/api/v1/health/", 200)
READY = Request("GET", "/api/v1/ready/", 200)
LOGIN_PAGE = Request("GET", "/admin/login/", 200)
# Says when it did, on the clock that the load is measured by.
KILL = "import os, time; moment = time.time(); os.kill({}, 9); print(moment)"
HOLD = "BEGIN; LOCK TABLE customers_customer; SELECT pg_sleep(6); COMMIT"
HELD = "SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'customers_customer'::regclass"


@pytest.fixture(scope="module")
def stack(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("basic")
    # Longer than the test that waits behind a lock.
    (stack.checkout / ".env").write_text("DATABASE_LOCK_TIMEOUT=20\n")
    stack.make("up")
    stack.create_administrator()
    return stack


@pytest.fixture(scope="module")
def log_in(stack: Stack) -> Request:
    page = stack.get("/admin/login/")
    token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[0]  # the language's form has one too
    form = {"csrfmiddlewaretoken": token, "username": ADMINISTRATOR, "password": PASSWORD, "next": "/admin/"}
    headers = {"Cookie": page.headers["Set-Cookie"], "Content-Type": "application/x-www-form-urlencoded"}
    return Request("POST", "/admin/login/", 302, headers, urlencode(form))


@pytest.fixture(scope="module")
def customers(stack: Stack, log_in: Request) -> Request:
    """Return a request for the list by a logged-in user."""
    answer = ask(stack.ports["web"], log_in.method, log_in.path, log_in.headers, log_in.body)
    (session,) = [cookie for cookie in answer.headers.get_all("Set-Cookie", []) if cookie.startswith("sessionid=")]
    return Request("GET", "/admin/customers/customer/", 200, {"Cookie": session})


@pytest.fixture(scope="module")
def mixed_requests(log_in: Request, customers: Request) -> list[Request]:
    """Return mostly page requests and few logins, whose slow hash costs as much as a dozen pages."""
    return [customers, LOGIN_PAGE, HEALTH, customers] * 12 + [LOGIN_PAGE, log_in]


@contextmanager
def lock_on_customers(stack: Stack) -> Iterator[None]:
    """Lock the customers for six seconds, more than five of which remain when the block begins."""
    psql = ["docker", "exec", stack.container("db"), "psql", "-qAt", "-U", DATABASE, "-c"]
    with subprocess.Popen([*psql, HOLD], stdout=subprocess.DEVNULL):
        seconds_until(lambda: subprocess.check_output([*psql, HELD]) == b"1\n", 2)
        yield


def test_stop_lets_the_request_in_flight_finish(stack: Stack, customers: Request) -> None:
    web, since = stack.container("web"), time.time()
    with lock_on_customers(stack), ThreadPoolExecutor() as pool:
        answered = pool.submit(send, stack.ports["web"], customers)
        time.sleep(0.3)
        stack.compose("stop", "web")
        stopped = time.time() - since
        sample = answered.result()
    print(f"stopped within {stopped:.1f} s, the request took {sample.seconds:.1f} s")
    assert not sample.failed
    assert sample.seconds >= 5
    assert stack.inspect("web")["State"]["ExitCode"] == 0
    assert signals(web, since) == ["15"]
    stack.compose("start", "web")
    stack.wait_to_be("healthy", "web")


def signals(container: str, since: float) -> list[str]:
    """Return the signals that the engine has sent to the container's PID 1 since then."""
    period = ["--since", f"{since:.0f}", "--until", f"{time.time():.0f}"]
    selection = ["--filter", f"container={container}", "--filter", "event=kill"]
    return docker("events", *period, *selection, "--format", "{{.Actor.Attributes.signal}}").split()


def test_killed_worker_costs_no_more_than_its_requests(stack: Stack, customers: Request) -> None:
    (gunicorn,) = stack.children("web")
    worker, *others = stack.children("web", gunicorn)
    # Lists wait behind the lock, and so are in flight on every worker.
    mix = [HEALTH, LOGIN_PAGE] * 30 + [customers]
    with lock_on_customers(stack), Load(stack.ports["web"], mix, rate=120) as load:
        time.sleep(3)
        killed = float(stack.within("web", "python", "-c", KILL.format(worker)))
        time.sleep(4)
    in_flight, respawn = load.in_flight(killed), moment_of("Booting worker", stack.logs("web")) - killed
    print(f"{load.report()}; {len(in_flight)} were in flight, a new worker after {respawn:.2f} s")
    assert len(load.samples) >= 100 * 7
    assert all(sample in in_flight for sample in load.failures)
    assert 0 < respawn <= 2
    assert set(stack.children("web", gunicorn)) > set(others)
    assert len(stack.children("web", gunicorn)) == 3


def moment_of(message: str, logs: str) -> float:
    """Return the time of the last log line with these words."""
    line = [line for line in logs.splitlines() if message in line][-1]
    return datetime.fromisoformat(json.loads(line[line.index("{") :])["timestamp"]).timestamp()


def test_killed_master_is_back_soon(stack: Stack) -> None:
    (gunicorn,) = stack.children("web")
    restarts = stack.inspect("web")["RestartCount"]
    # Without waiting for how the command ends: the container takes it along.
    docker("exec", "--detach", stack.container("web"), "python", "-c", KILL.format(gunicorn))
    seconds_until(lambda: send(stack.ports["web"], READY).failed, 5)
    seconds = seconds_until(lambda: not send(stack.ports["web"], READY).failed, 5)
    print(f"ready again after {seconds:.1f} s")
    assert stack.inspect("web")["RestartCount"] == restarts + 1


def test_database_restarted_while_idle_costs_nobody_anything(stack: Stack, customers: Request) -> None:
    assert not any(send(stack.ports["web"], customers).failed for _ in range(40))  # each thread has its connection
    stack.compose("restart", "db")
    stack.wait_to_be("healthy", "db")
    assert [sample.answer for _ in range(40) if (sample := send(stack.ports["web"], customers)).failed] == []


def test_restarted_database_is_used_at_once(stack: Stack, mixed_requests: list[Request]) -> None:
    workers = stack.children("web", stack.children("web")[0])
    accepting = "until pg_isready -q -h 127.0.0.1; do sleep 0.02; done; date +%s.%N"
    with Load(stack.ports["web"], mixed_requests, rate=60) as load:
        time.sleep(2)
        stack.compose("restart", "db")
        accepts = float(stack.within("db", "sh", "-c", accepting))
        time.sleep(6)
    last = max((sample.end for sample in load.failures), default=0.0) - accepts
    print(f"{load.report()}; the last failure {last:.2f} s after the database accepted connections")
    assert [sample for sample in load.failures if sample.start > accepts + 1] == []
    assert {sample.answer and sample.answer.status for sample in load.failures} <= {503}
    assert HEALTH not in [sample.request for sample in load.failures]
    assert stack.children("web", stack.children("web")[0]) == workers


@contextmanager
def stop_service(stack: Stack, service: str) -> Iterator[None]:
    stack.compose("stop", service)
    try:
        yield
    finally:
        stack.compose("start", service)


@pytest.mark.full
@pytest.mark.parametrize("away", [pytest.param(stop_service, marks=pytest.mark.full), Stack.paused])
def test_nobody_notices_that_redis_is_away(
    stack: Stack, mixed_requests: list[Request], away: Callable[[Stack, str], AbstractContextManager[None]]
) -> None:
    with away(stack, "redis"), Load(stack.ports["web"], mixed_requests, rate=50, count=2000) as load:
        time.sleep(5)
        readiness = stack.get(READY.path)
    seconds = seconds_until(lambda: stack.get(READY.path).text == '{"status": "ready"}', 10)
    print(f"{load.report()}; ready again after {seconds:.1f} s")
    assert (readiness.status, json.loads(readiness.text)) == (200, {"status": "degraded", "failing": ["cache"]})
    assert (len(load.samples), load.failures) == (2000, [])
    # Of 2,000 ten may wait for other work on this machine.
    assert len([sample for sample in load.samples if sample.seconds > 1]) <= 10


# Sets (0x8955) or deletes (0x8953) the hardware address that packets for an IP address go to: here one that nobody has.
NEIGHBOUR = """
import fcntl, socket, struct, sys
request, address = int(sys.argv[1]), socket.inet_aton(sys.argv[2])
entry = struct.pack("HH4s8xH6s8xi16x16s", socket.AF_INET, 0, address, 1, bytes([2, 0, 0, 0, 0, 1]), 6, b"eth0")
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), request, entry)
"""


@contextmanager
def cut_off(stack: Stack, service: str) -> Iterator[None]:
    """Drop all packets from web to the service, without refusing them."""
    web, address = stack.container("web"), stack.address(service, "default")
    options = ["--rm", "--user=0", "--cap-add=NET_ADMIN", f"--network=container:{web}", "--entrypoint=python"]
    change = ["run", *options, stack.image, "-c", NEIGHBOUR]
    docker(*change, str(0x8955), address)
    try:
        yield
    finally:
        docker(*change, str(0x8953), address)


def test_unreachable_database_leaves_liveness_alone(stack: Stack, mixed_requests: list[Request]) -> None:
    pages = [request for request in mixed_requests if request is not HEALTH]
    web, restarts = stack.ports["web"], stack.inspect("web")["RestartCount"]
    with cut_off(stack, "db"), Load(web, [HEALTH], rate=20, clients=4) as probes, Load(web, pages, rate=20) as load:
        lost = time.time()
        time.sleep(25)
        readiness = stack.get(READY.path)
        assert stack.health("web") == "healthy"
    seconds = seconds_until(lambda: not send(web, pages[0]).failed, 10)
    print(f"liveness: {probes.report()}\npages: {load.report()}\nserved again after {seconds:.1f} s")
    assert (readiness.status, json.loads(readiness.text)["failing"]) == (503, ["database"])
    assert probes.failures == []
    # An answer that is lost is waited for; then by one thread of each process at a time, for as long as to connect.
    assert max(sample.seconds for sample in load.samples) <= 15
    assert max(sample.seconds for sample in load.samples if sample.start > lost + 15) <= 4
    refused = [
        sample.answer and (sample.answer.status, sample.answer.headers["Retry-After"]) for sample in load.failures
    ]
    assert set(refused) == {(503, "5")}
    assert stack.inspect("web")["RestartCount"] == restarts

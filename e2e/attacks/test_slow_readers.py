"""Clients that read slowly, a mail server that never answers, and a database that answers late."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from e2e.attacks.bystander import Target, build_form, probed, undisturbed
from e2e.load import Load, Request, send
from e2e.stack import DATABASE, seconds_until

# They measure answer times, and other work on the machine would fail them.
pytestmark = pytest.mark.full

READERS = 12
EXPORT = "/admin/customers/customer/export/?format=csv"


@contextmanager
def slow_reader(target: Target, name: str) -> Iterator[int]:
    """Asks for an export, and reads no more than the status, which is returned."""
    cookie = target.cookie(name)["Cookie"]
    with socket.socket() as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(30)
        plain.connect(("127.0.0.1", target.site.port))
        with target.site.context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(f"GET {EXPORT} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
            yield int(connection.recv(1024).split()[1])


def test_slow_readers_of_exports_disturb_nobody(target: Target) -> None:
    with undisturbed(target), ExitStack() as readers, ThreadPoolExecutor(READERS) as starters:
        names = [f"staff-{number}" for number in range(READERS)]
        starting = starters.map(lambda name: readers.enter_context(slow_reader(target, name)), names)
        statuses = sorted(starting)
        time.sleep(10)
    print(f"{READERS} readers: {statuses}")
    assert statuses == [200] * 4 + [429] * 8
    # Their places are free again.
    with slow_reader(target, "staff-0") as status:
        assert status == 200


def test_second_export_of_a_person_waits_for_the_first(target: Target) -> None:
    with slow_reader(target, "staff-1") as first, slow_reader(target, "staff-1") as second:
        assert (first, second) == (200, 429)


def test_silent_mail_server_disturbs_nobody(target: Target) -> None:
    request = build_form("/admin/password_reset/", {"email": "alice@example.com"}, 302, {})
    with undisturbed(target), ThreadPoolExecutor(20) as attackers:
        samples = list(attackers.map(lambda _: send(target.site, request), range(20)))
    print(f"20 resets: the longest took {max(sample.seconds for sample in samples):.2f} s")
    assert [sample.answer for sample in samples if sample.failed] == []
    assert max(sample.seconds for sample in samples) <= 2
    asked = "SELECT count(*) FROM tasks_task WHERE kind = 'accounts.password_reset' AND error LIKE '%timed out%'"
    count = ("psql", "-qtAX", "-U", DATABASE, "-c", asked)
    seconds_until(lambda: target.stack.within("db", *count).strip() != "0", 60)  # the server said nothing


def test_slow_queries_in_all_threads_leave_the_probes_alone(target: Target) -> None:
    lock = "BEGIN; LOCK TABLE customers_customer; SELECT pg_sleep(10)"
    blocked = Request("GET", "/admin/customers/customer/", 200, target.cookie("alice"))
    with ThreadPoolExecutor(1) as pool:
        locking = pool.submit(target.stack.within, "db", "psql", "-q", "-U", DATABASE, "-c", lock)
        with Load(target.site, [blocked], rate=20, clients=40), probed(target):
            locking.result()

"""Exports of every customer through Gunicorn, and by a background task: rows a second, first byte, memory; and our XLSX
beside openpyxl's.

CUSTOMERS=1000000 python -m bench.export; on engines of its own: `make bench-export`.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from http.client import HTTPConnection
from io import BytesIO
from time import perf_counter, sleep

import django
import psutil

django.setup()

from django.conf import settings  # noqa: E402 - models need the set-up
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from openpyxl import Workbook  # noqa: E402

from bench.fill import fill  # noqa: E402
from config.local.serve import is_served  # noqa: E402
from config.local.serve import stop as stop_server  # noqa: E402
from core_apps.accounts.models import User  # noqa: E402
from core_apps.tasks.running import run_due_tasks  # noqa: E402
from customers.admin import export  # noqa: E402
from customers.admin.export_job import export_in_background  # noqa: E402
from customers.downloads import start  # noqa: E402
from customers.exporting import FORMATS, HEADINGS, Row, fetch_batches  # noqa: E402
from customers.models import Customer  # noqa: E402

CUSTOMERS = int(os.environ.get("CUSTOMERS") or 200_000)
COMPARED, ROUNDS = 100_000, 2
PORT = 8765
LEAST_ROWS_PER_SECOND, MOST_FIRST_BYTE_MS, MOST_MEGABYTES = 30_000, 300, 30
NARROWED = {"CSV of a stage": "format=csv&stage=lead", "CSV of a search": "format=csv&q=an"}
MEGABYTE = 2**20


@dataclass
class Download:
    name: str
    seconds: float
    first_byte: float
    size: int
    grown: float  # megabytes of the worker that served it, at its largest
    rows: int = 0

    def beside(self, other: "Download") -> "Download":
        """Return the shorter time, since other load only slows a run down, and the worse of the other figures."""
        seconds, first = min(self.seconds, other.seconds), max(self.first_byte, other.first_byte)
        return replace(self, seconds=seconds, first_byte=first, grown=max(self.grown, other.grown))

    def line(self) -> str:
        speed, first = self.rows / self.seconds, 1000 * self.first_byte
        verdicts = [self.grown <= MOST_MEGABYTES, first <= MOST_FIRST_BYTE_MS]
        if self.rows >= COMPARED:  # of few rows it is the first byte that takes the time
            verdicts.append(speed >= LEAST_ROWS_PER_SECOND)
        return (
            f"{self.name:18}{self.rows:>11,}{self.size / MEGABYTE:>9.1f}{self.seconds:>9.1f}{speed:>10,.0f}"
            f"{first:>12.0f}{self.grown:>9.1f}  {'met' if all(verdicts) else 'MISSED':6}"
        )


def read_exported_rows() -> int:
    """Return the rows of the last export, from its log entry."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT change_message FROM django_admin_log ORDER BY id DESC LIMIT 1")
        (message,) = cursor.fetchone()
    if not message.endswith(" rows, complete"):
        raise AssertionError(message)
    return int(message.removesuffix(" rows, complete").rpartition(" ")[2].replace(",", ""))


def download(worker: psutil.Process, cookie: str, name: str, query: str) -> Download:
    client = HTTPConnection("127.0.0.1", PORT, timeout=600)
    before, most, size = worker.memory_info().rss, 0, 0
    started = perf_counter()
    client.request("GET", f"{reverse('admin:customers_customer_export')}?{query}", headers={"Cookie": cookie})
    response = client.getresponse()
    if response.status != 200:
        raise AssertionError(f"{response.status} for {query}: {response.read(500)!r}")
    first = perf_counter() - started if response.peek(1) else 0.0
    looked_at = 0
    while part := response.read1(2**18):
        size += len(part)
        if size - looked_at > 4 * MEGABYTE:
            looked_at, most = size, max(most, worker.memory_info().rss)
    seconds = perf_counter() - started
    most = max(most, worker.memory_info().rss)
    return Download(name, seconds, first, size, (most - before) / MEGABYTE, read_exported_rows())


def build_application() -> WSGIHandler:
    """The application, which sends exports of any size at once."""
    export.MAX_DIRECT = CUSTOMERS
    return get_wsgi_application()


@contextmanager
def one_worker() -> Iterator[psutil.Process]:
    """Run Gunicorn as in the tiers, with one process whose memory can be measured."""
    gunicorn = [sys.executable, "-m", "gunicorn", "bench.export:build_application()", "--config", "config/gunicorn.py"]
    environment = os.environ | {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "WARNING"}
    web = psutil.Popen([*gunicorn, "--bind", f"127.0.0.1:{PORT}"], env=environment, stdin=subprocess.DEVNULL)
    try:
        while not is_served(PORT):
            sleep(0.05)
        (worker,) = web.children()
        yield worker
    finally:
        stop_server(web)


def log_in_administrator() -> str:
    client = Client()
    client.force_login(User.objects.create_superuser("boss@example.com"))
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def through_gunicorn() -> None:
    cookie = log_in_administrator()
    print(f"\n{'':18}{'rows':>11}{'MB':>9}{'seconds':>9}{'rows/s':>10}{'first byte':>12}{'grown MB':>9}{'load':>16}")
    with one_worker() as worker:
        for kind in FORMATS:  # what is loaded once and for all is no cost of an export
            download(worker, cookie, kind, f"format={kind}&stage=inactive")
        cases = {kind.label: f"format={kind.name}" for kind in FORMATS.values()}
        for name, query in (cases | NARROWED).items():
            rounds = [download(worker, cookie, name, query) for _ in range(ROUNDS)]
            print(f"{reduce(Download.beside, rounds).line()}{os.getloadavg()[0]:8.1f}", flush=True)


def in_background() -> None:
    owner = User.objects.get()
    for kind in FORMATS:
        payload = {"model": "customer", "query": "", "file_format": kind, "since": None}
        download = start(export_in_background, owner, f"customers.{kind}", **payload)
        started = perf_counter()
        run_due_tasks("progress")
        seconds = perf_counter() - started
        download.refresh_from_db()
        print(f"{kind} by a task{download.done:>18,}{seconds:>18.1f}{download.done / seconds:>10,.0f}")
        download.delete()


def with_openpyxl(batches: list[list[Row]]) -> Iterator[bytes]:
    """Write the same workbook with openpyxl's write-only mode, which cannot stream."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Customers 1")
    sheet.append(HEADINGS)
    for batch in batches:
        for row in batch:
            sheet.append(row)
    stream = BytesIO()
    book.save(stream)
    yield stream.getvalue()


def compare_with_openpyxl() -> None:
    batches = list(fetch_batches(Customer.objects.all()[:COMPARED]))
    rows = sum(map(len, batches))
    print(f"\n{rows:,} rows as XLSX{'seconds':>14}{'rows/s':>10}{'first byte':>12}{'MB':>7}")
    times = []
    for name, writer in (("ours", FORMATS["xlsx"].write), ("openpyxl, write-only", with_openpyxl)):
        started, parts = perf_counter(), iter(writer(batches))
        size, first = len(next(parts)), 1000 * (perf_counter() - started)
        size += sum(map(len, parts))
        times.append(seconds := perf_counter() - started)
        print(f"{name:20}{seconds:>14.1f}{rows / seconds:>10,.0f}{first:>9.0f} ms{size / MEGABYTE:>7.1f}")
    print(f"ours is {times[1] / times[0]:.1f} times as fast")


def main() -> None:
    call_command("migrate", verbosity=0)
    fill(CUSTOMERS)
    through_gunicorn()
    in_background()
    compare_with_openpyxl()


if __name__ == "__main__":
    main()

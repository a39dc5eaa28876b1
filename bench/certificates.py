"""Certificates: time and size of one, memory of the process that renders it, beside an empty page; and the time from a
click to the file.

`make bench-certificates`, which needs Pango.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime

import django
import psutil

django.setup()

from django.core.management import call_command  # noqa: E402 - models need the set-up

from bench.measurements import alternate, check_bar, compute_milliseconds, measure_undisturbed, print_line  # noqa: E402
from core_apps.accounts.models import User  # noqa: E402
from core_apps.media.pdf.renderer import start_renderer  # noqa: E402
from core_apps.tasks.running import run_due_tasks  # noqa: E402
from customers.certificates import build_html, make_certificate  # noqa: E402
from customers.downloads import start  # noqa: E402
from customers.models import Company, Customer, Exhibition, Visit  # noqa: E402

SECONDS, CLICKS = 20, 20
MOST_MILLISECONDS, MOST_MEGABYTES = 150, 120
EMPTY = '<html lang="en"><title>Empty</title><p>'


def create_visit(user: User) -> Visit:
    days = {"starts_on": date(2026, 3, 10), "ends_on": date(2026, 3, 12)}
    exhibition = Exhibition.objects.create(name="Harbour Fair", city="Hamburg", country="DE", **days)
    company = Company.objects.create(name="Nordlys Lighting")
    customer = Customer.objects.create(given_name="Ingrid", family_name="Haugen", job_title="Buyer", company=company)
    details = {"interests": ["LED", "street lighting"], "stand": "7.1 C042", "captured_by": user}
    moment = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
    return Visit.objects.create(customer=customer, exhibition=exhibition, visited_at=moment, **details)


def time_call(function: Callable[[], object]) -> Callable[[], float]:
    def call() -> float:
        started = time.perf_counter()
        function()
        return time.perf_counter() - started

    return call


def measure_rendering(visit: Visit) -> None:
    with start_renderer() as render:
        certificate, empty = time_call(lambda: render(build_html(visit))), time_call(lambda: render(EMPTY))
        found = measure_undisturbed(lambda: alternate(SECONDS, certificate=certificate, empty=empty))
        size = len(render(build_html(visit)))
        process = max(psutil.Process().children(), key=lambda child: child.memory_info().rss)
        megabytes = process.memory_full_info().pss / 2**20
    (middle, p95), (bare, _) = compute_milliseconds(found["certificate"]), compute_milliseconds(found["empty"])
    print_line("certificate", found["certificate"], f"p95 {check_bar(p95, MOST_MILLISECONDS)}")
    print_line("empty page", found["empty"], f"a certificate takes {middle / bare:.1f} times as long")
    print(f"{size / 1000:.1f} kB; the process has {check_bar(megabytes, MOST_MEGABYTES)} MB (PSS)")


def measure_clicks(user: User, visit: Visit) -> None:
    def click() -> None:
        start(make_certificate, user, "certificate.pdf", visit=visit.pk)
        run_due_tasks("certificates")

    print_line("one, with its process", [time_call(click)() for _ in range(CLICKS)])


def main() -> None:
    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser("boss@example.com")
    visit = create_visit(user)
    print(f"{'':32}{'n':>8}{'p50 ms':>10}{'p95 ms':>10}")
    measure_rendering(visit)
    measure_clicks(user, visit)


if __name__ == "__main__":
    main()

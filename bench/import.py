"""Rows per second of our import, beside raw COPY and beside one save() per row, of the same rows in the same run.

And of two files as people have them: customers with faults, and exhibitors of several fairs, of whom a third repeat.

python -m bench.import [ROWS]; in a database of its own, which is dropped at the end.
"""

# ruff: noqa: N999 - `make bench-import` calls the module by its name

import csv
import gc
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 - models need the set-up

from bench.measurements import own_database  # noqa: E402
from customers.importing import COMPANIES, CUSTOMERS, Kind, Options, Report, import_file  # noqa: E402

ROWS = 100_000
SAVED_ROWS = 1_000  # a sample, whose time is multiplied: the slow way is slow
ROUNDS = 5
MOST_TIMES_COPY = 5
LEAST_ROWS_PER_SECOND = {"companies": 15_000, "customers": 10_000}
LEAST_WITH_FAULTS = 10_000
EXHIBITORS = 200_000
COUNTRIES = ("DE", "FR", "IT", "NO", "PL", "SE")
PREFIXES = {"DE": "49 30", "FR": "33 1", "IT": "39 06", "NO": "47", "PL": "48 22", "SE": "46 8"}


def company(number: int) -> dict[str, str]:
    domain = f"company-{number}.example"
    return {
        "name": f"Company {number} & Søn",
        "domain": domain,
        "country": COUNTRIES[number % len(COUNTRIES)],
        "industry": f"Industry {number % 50}",
        "website": f"https://www.{domain}/en/",
    }


def customer(number: int) -> dict[str, str]:
    country = COUNTRIES[number % len(COUNTRIES)]
    return {
        "given_name": f"Given {number % 1_000}",
        "family_name": f"Family {number}",
        "email": f"person.{number}@example.com",
        "phone": f"+{PREFIXES[country]} {10_000_000 + number}",
        "job_title": "Buyer",
        "country": country,
    }


def faulty_customer(number: int) -> dict[str, str]:
    """Like `customer`, but of five rows one has an unknown country, and one nothing but an invalid address."""
    row = customer(number)
    if number % 5 == 1:
        return dict.fromkeys(row, "") | {"email": f"person {number}"}
    return row | {"country": "Atlantis"} if number % 5 == 3 else row


def exhibitor(number: int) -> dict[str, str]:
    """Like `company`, but every third row repeats an earlier one, and every thirtieth website is no good."""
    earlier = number * 7 // 11
    row = company(earlier - (earlier % 3 == 2) if number % 3 == 2 else number)
    return row | {"website": f"http:/{row['domain']}"} if number % 30 == 0 else row


def write_file(path: Path, rows: Iterator[dict[str, str]]) -> None:
    first = next(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, first)
        writer.writerow(dict(zip(first, first, strict=True)))
        writer.writerow(first)
        writer.writerows(rows)


def import_rows(kind: Kind, file: Path, rejected: int = 0) -> Report:
    report = import_file(file, kind, Options(errors=file.with_suffix(".errors")))
    if (report.created, report.rejected) != (report.rows - rejected - report.repeated, rejected):
        raise AssertionError(f"{report.created} of {report.rows} rows were created, {report.rejected} rejected.")
    return report


def save_rows(kind: Kind, file: Path) -> None:
    with file.open(encoding="utf-8", newline="") as stream, transaction.atomic():
        for row in islice(csv.DictReader(stream), SAVED_ROWS):
            instance = kind.model(**row)
            instance.full_clean()
            instance.save()


def copy(kind: Kind, direction: str, file: Path, mode: str) -> None:
    """COPY the imported columns FROM or TO the file."""
    columns = ", ".join(column for column in kind.inserted_columns if column not in ("owner_id", "company_id"))
    with connection.cursor() as cursor, file.open(mode) as stream:
        end = "STDIN" if direction == "FROM" else "STDOUT"
        cursor.copy_expert(f"COPY {kind.model._meta.db_table} ({columns}) {direction} {end}", stream)


def seconds(kind: Kind, work: Callable[[], object]) -> float:
    """Return the seconds of the work with an empty table."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {kind.model._meta.db_table} CASCADE")
        cursor.execute(f"VACUUM ANALYZE {kind.model._meta.db_table}")
        cursor.execute("CHECKPOINT")
    gc.collect()
    start = perf_counter()
    work()
    return perf_counter() - start


def measure(kind: Kind, file: Path, rows: int) -> None:
    finished = file.with_suffix(".finished")
    ours, raw = [], []
    for _ in range(ROUNDS):  # in turn, so that what else the machine does meets both
        ours.append(seconds(kind, lambda: import_rows(kind, file)))
        copy(kind, "TO", finished, "wb")
        raw.append(seconds(kind, lambda: copy(kind, "FROM", finished, "rb")))
    sample = min(SAVED_ROWS, rows)
    saved = seconds(kind, lambda: save_rows(kind, file)) * rows / sample
    title = f"{rows:,} {kind.model._meta.verbose_name_plural}, {file.stat().st_size / 1e6:.1f} MB"
    print_table(f"{title}; median of {ROUNDS} rounds", rows, median(raw), median(ours), (saved, sample))
    print_verdict(rows / median(ours), LEAST_ROWS_PER_SECOND[str(kind.model._meta.verbose_name_plural)])


def measure_faults(kind: Kind, file: Path, rows: list[dict[str, str]], rejected: int = 0) -> None:
    write_file(file, iter(rows))
    reports: list[Report] = []
    times = [
        seconds(kind, lambda: reports.append(import_rows(kind, file, rejected)))  # the errors file included
        for _ in range(ROUNDS)
    ]
    report, speed = reports[0], len(rows) / median(times)
    print(f"\n{report.rows:,} {kind.model._meta.verbose_name_plural}: {report.repeated:,} repeated, ", end="")
    print(f"{report.rejected:,} rejected, {report.left_out:,} values left out; median of {ROUNDS} rounds")
    print(f"{speed:,.0f} rows/s")
    print_verdict(speed, LEAST_WITH_FAULTS)


def print_table(title: str, rows: int, raw: float, ours: float, saved: tuple[float, int]) -> None:
    print(f"\n{title}\n{'':36}{'seconds':>9}{'rows/s':>10}{'x COPY':>9}")
    for name, time in (
        ("COPY of the finished rows", raw),
        ("import: read, validated, matched", ours),
        (f"full_clean(), save(): from {saved[1]:,} rows", saved[0]),
    ):
        print(f"{name:36}{time:>9.1f}{rows / time:>10,.0f}{time / raw:>9.1f}")
    print(f"at most {MOST_TIMES_COPY} x COPY: {check_bar(ours <= MOST_TIMES_COPY * raw)}")


def print_verdict(speed: float, least: int) -> None:
    print(f"at least {least:,} rows/s: {check_bar(speed >= least)}")


def check_bar(met: bool) -> str:
    return "met" if met else "MISSED"


def main(rows: int) -> None:
    with own_database(), TemporaryDirectory() as directory:
        for kind, row in ((COMPANIES, company), (CUSTOMERS, customer)):
            file = Path(directory) / "rows.csv"
            write_file(file, map(row, range(rows)))
            measure(kind, file, rows)
        measure_faults(CUSTOMERS, file, [faulty_customer(number) for number in range(2 * rows)], 2 * rows // 5)
        measure_faults(COMPANIES, file, [exhibitor(number) for number in range(EXHIBITORS)])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)

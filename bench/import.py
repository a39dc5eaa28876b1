"""Rows per second of our import, beside raw COPY and beside one save() per row, of the same rows in the same run.

And of a file of which two rows in five are rejected.

python -m bench.import [ROWS]; in a database of its own, which is dropped at the end.
"""

# ruff: noqa: N999 - `make bench-import` calls the module by its name

import csv
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 - models need the set-up

from customers.importing import COMPANIES, CUSTOMERS, Kind, Options, import_file  # noqa: E402

ROWS = 100_000
SAVED_ROWS = 1_000  # a sample, whose time is multiplied: the slow way is slow
ROUNDS = 5
MOST_TIMES_COPY = 5
LEAST_ROWS_PER_SECOND = {"companies": 15_000, "customers": 10_000}
LEAST_WITH_REFUSALS = 10_000
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


def refused_customer(number: int) -> dict[str, str]:
    """Like `customer`; of five rows one has no e-mail address to speak of, and one no country."""
    faults = {1: {"email": f"person {number}"}, 3: {"country": "Atlantis"}}
    return customer(number) | faults.get(number % 5, {})


def write_file(path: Path, rows: Iterator[dict[str, str]]) -> None:
    first = next(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, first)
        writer.writerow(dict(zip(first, first, strict=True)))
        writer.writerow(first)
        writer.writerows(rows)


def import_rows(kind: Kind, file: Path, rejected: int = 0) -> None:
    report = import_file(file, kind, Options(errors=file.with_suffix(".errors")))
    if (report.created, report.rejected) != (report.rows - rejected, rejected):
        raise AssertionError(f"{report.created} of {report.rows} rows were created, {report.rejected} rejected.")


def save_rows(kind: Kind, file: Path) -> None:
    with file.open(encoding="utf-8", newline="") as stream, transaction.atomic():
        for row in islice(csv.DictReader(stream), SAVED_ROWS):
            instance = kind.model(**row)
            instance.full_clean()
            instance.save()


def copy(kind: Kind, direction: str, file: Path, mode: str) -> None:
    """COPY of all columns that a row brings along, FROM or TO the file."""
    columns = ", ".join(column for column in kind.inserted if column not in ("owner_id", "company_id"))
    with connection.cursor() as cursor, file.open(mode) as stream:
        end = "STDIN" if direction == "FROM" else "STDOUT"
        cursor.copy_expert(f"COPY {kind.model._meta.db_table} ({columns}) {direction} {end}", stream)


def seconds(kind: Kind, work: Callable[[], None]) -> float:
    """Time of the work on an empty table."""
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


def measure_refusals(file: Path, rows: int) -> None:
    write_file(file, map(refused_customer, range(rows)))
    times = [seconds(CUSTOMERS, lambda: import_rows(CUSTOMERS, file, rejected=rows * 2 // 5)) for _ in range(ROUNDS)]
    print(f"\n{rows:,} customers, of which 40 % are rejected; median of {ROUNDS} rounds")
    print(f"{rows / median(times):,.0f} rows/s")
    print_verdict(rows / median(times), LEAST_WITH_REFUSALS)


def print_table(title: str, rows: int, raw: float, ours: float, saved: tuple[float, int]) -> None:
    print(f"\n{title}\n{'':36}{'seconds':>9}{'rows/s':>10}{'x COPY':>9}")
    for name, time in (
        ("COPY of the finished rows", raw),
        ("import: read, validated, matched", ours),
        (f"full_clean(), save(): from {saved[1]:,} rows", saved[0]),
    ):
        print(f"{name:36}{time:>9.1f}{rows / time:>10,.0f}{time / raw:>9.1f}")
    print(f"at most {MOST_TIMES_COPY} x COPY: {verdict(ours <= MOST_TIMES_COPY * raw)}")


def print_verdict(speed: float, least: int) -> None:
    print(f"at least {least:,} rows/s: {verdict(speed >= least)}")


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


@contextmanager
def own_database() -> Iterator[None]:
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)


def main(rows: int) -> None:
    with own_database(), TemporaryDirectory() as directory:
        for kind, row in ((COMPANIES, company), (CUSTOMERS, customer)):
            file = Path(directory) / "rows.csv"
            write_file(file, map(row, range(rows)))
            measure(kind, file, rows)
        measure_refusals(file, 2 * rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)

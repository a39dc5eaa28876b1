import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from customers.demo.filling import fill
from customers.demo.inventing import PER_COMPANY, VISITS

WIDTH = 30
MOST = 10_000_000


class Command(BaseCommand):
    help = "Adds so many invented customers with companies, visits and follow-ups; to see how the site does with many."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("customers", type=int)

    def handle(self, *args: Any, customers: int, **options: Any) -> None:
        if not 1 <= customers <= MOST:
            raise CommandError(f"{customers} is not a number of customers from 1 to {MOST}.")
        start, bar = time.monotonic(), Bar(customers, start=time.monotonic())
        try:
            rows = fill(customers, bar.show)
        except KeyboardInterrupt as error:
            bar.end()
            raise CommandError("Interrupted: nothing was added.") from error
        seconds = time.monotonic() - start
        bar.end()
        self.stdout.write(f"Added {rows:,} rows in {seconds:.1f} s: {rows / seconds:,.0f} a second, indexes included.")


class Bar:
    """How far it is, in one line of a terminal; nowhere else."""

    def __init__(self, customers: int, start: float) -> None:
        average = sum(number * weight for number, weight in enumerate(VISITS)) / sum(VISITS)
        self.total, self.start = customers * (1 + 1 / PER_COMPANY + average), start
        self.done: dict[str, int] = {}
        self.is_shown = sys.stderr.isatty()

    def show(self, name: str, rows: int) -> None:
        self.done[name] = rows
        if self.is_shown:
            share, seconds = self.share(), time.monotonic() - self.start
            filled = "#" * round(share * WIDTH)
            sys.stderr.write(f"\r[{filled:{WIDTH}}] {share:4.0%}  {name} {rows:,}  {seconds:.0f} s  ")

    def share(self) -> float:
        """Of the time: building the indexes takes the second half."""
        written = sum(rows for name, rows in self.done.items() if not name.startswith("percent"))
        built = next((rows / 100 for name, rows in self.done.items() if name.startswith("percent")), 0.0)
        return min(1.0, written / self.total) / 2 + built / 2

    def end(self) -> None:
        if self.is_shown:
            sys.stderr.write("\n")

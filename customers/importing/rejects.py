"""Keeps the first refused rows for the summary, and writes all of them to a file."""

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from customers.importing.problems import CannotImport, Fault
from customers.importing.records import Record
from customers.spreadsheets import escape_formula

MOST_KEPT = 20
OWN_COLUMNS = ("line", "column", "value", "reason")


class Refusal(NamedTuple):
    record: Record
    faults: Sequence[Fault]

    @property
    def line(self) -> int:
        return self.record.line

    @property
    def cells(self) -> list[str]:
        """The row of the errors file; several faults share the cells."""
        faults = (" | ".join(texts) for texts in zip(*self.faults, strict=True))
        return [escape_formula(cell) for cell in (str(self.line), *faults, *self.record.cells)]


class Refusals:
    def __init__(self, writer: Any = None) -> None:
        self.count = 0
        self.first: list[Refusal] = []
        self._writer = writer
        self._batch: list[Refusal] = []

    def add(self, record: Record, *faults: Fault) -> None:
        self._batch.append(Refusal(record, faults))

    def end_batch(self) -> None:
        """Puts what the steps of a batch refused into the order of the file."""
        self._batch.sort(key=lambda refusal: refusal.line)
        self.count += len(self._batch)
        self.first += self._batch[: MOST_KEPT - len(self.first)]
        if self._writer:
            self._writer.writerows(refusal.cells for refusal in self._batch)
        self._batch = []


@contextmanager
def collect_refusals(path: Path | None, header: Iterable[str]) -> Iterator[Refusals]:
    """Collects refused rows, and writes them to a CSV file at the path where there is one.

    The file takes its name when the import has ended, so that nobody reads a half of it.
    Raises CannotImport where it cannot be written.
    """
    if path is None:
        yield Refusals()
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise CannotImport(f"{path} cannot be written: {error.strerror}.") from None
    try:
        # With the byte order mark Excel reads UTF-8 as such.
        with open(descriptor, "w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(map(escape_formula, (*OWN_COLUMNS, *header)))
            yield Refusals(writer)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

"""Rejected rows: the first ones for the summary, all of them in the errors file."""

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from customers.importing.problems import ImportFileError, Problem
from customers.importing.records import Record
from customers.spreadsheets import escape_formula

MAX_REPORTED = 20
ERROR_COLUMNS = ("line", "column", "value", "reason")


class RejectedRow(NamedTuple):
    record: Record
    problems: Sequence[Problem]

    @property
    def line(self) -> int:
        return self.record.line

    @property
    def cells(self) -> list[str]:
        """The row of the errors file; several problems are joined in one cell."""
        problems = (" | ".join(texts) for texts in zip(*self.problems, strict=True))
        return [escape_formula(cell) for cell in (str(self.line), *problems, *self.record.cells)]


class RejectedRows:
    def __init__(self, writer: Any = None) -> None:
        self.count = 0
        self.first: list[RejectedRow] = []
        self._writer = writer
        self._batch: list[RejectedRow] = []

    def add(self, record: Record, *problems: Problem) -> None:
        self._batch.append(RejectedRow(record, problems))

    def end_batch(self) -> None:
        """Sort the batch's rejects by line, and write them."""
        self._batch.sort(key=lambda reject: reject.line)
        self.count += len(self._batch)
        self.first += self._batch[: MAX_REPORTED - len(self.first)]
        if self._writer:
            self._writer.writerows(reject.cells for reject in self._batch)
        self._batch = []


@contextmanager
def collect_rejects(path: Path | None, header: Iterable[str]) -> Iterator[RejectedRows]:
    """Collect rejected rows and, if a path is given, write them to a CSV file there.

    The file gets its name after the import, so that nobody reads an incomplete one.
    Raises ImportFileError if it cannot be written.
    """
    if path is None:
        yield RejectedRows()
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ImportFileError(f"{path} cannot be written: {error.strerror}.") from None
    try:
        # Excel recognises UTF-8 only by the byte order mark.
        with open(descriptor, "w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(map(escape_formula, (*ERROR_COLUMNS, *header)))
            yield RejectedRows(writer)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

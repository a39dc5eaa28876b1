"""What a report says about single rows: the first of each kind; in the errors file, all that need a correction."""

import csv
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from customers.importing.problems import ImportFileError, Problem
from customers.importing.records import Record
from customers.importing.rows import Row
from customers.spreadsheets import escape_formula

MAX_REPORTED = 20
MAX_SAMPLE = 5
ERROR_COLUMNS = ("line", "column", "value", "reason")


class FaultyRow(NamedTuple):
    """A row that was rejected, or of which values were left out."""

    record: Record
    problems: Sequence[Problem]
    is_rejected: bool

    @property
    def line(self) -> int:
        return self.record.line

    @property
    def cells(self) -> list[str]:
        """The row of the errors file; several problems are joined in one cell."""
        columns, values, reasons = (" | ".join(texts) for texts in zip(*self.problems, strict=True))
        reason = reasons if self.is_rejected else _("Left out: %s") % reasons
        return [escape_formula(cell) for cell in (str(self.line), columns, values, reason, *self.record.cells)]


class Findings:
    def __init__(self, writer: Any = None) -> None:
        self.rejected = self.left_out = self.similar = 0
        self.rejects: list[FaultyRow] = []
        self.omissions: list[FaultyRow] = []
        self.repeats: list[tuple[int, int]] = []  # a line, and that of the first row with the same key
        self.lookalikes: list[tuple[int, str, int]] = []  # a line, and what it shares with the record of an id
        self.sample: list[Row] = []  # with the values as stored
        self._writer = writer
        self._batch: list[FaultyRow] = []

    def reject(self, record: Record, *problems: Problem) -> None:
        self._batch.append(FaultyRow(record, problems, is_rejected=True))

    def leave_out(self, record: Record, problems: Sequence[Problem]) -> None:
        self._batch.append(FaultyRow(record, problems, is_rejected=False))

    def add_repeats(self, repeats: Mapping[int, int]) -> None:
        self.repeats += sorted(repeats.items())[: MAX_SAMPLE - len(self.repeats)]

    def add_sample(self, rows: Iterable[Row]) -> None:
        self.sample += islice(rows, MAX_SAMPLE - len(self.sample))

    def add_similar(self, similar: Sequence[tuple[int, str, int]]) -> None:
        self.similar += len(similar)
        self.lookalikes += similar[: MAX_REPORTED - len(self.lookalikes)]

    def end_batch(self) -> None:
        """Sort the batch's faulty rows by line, and write them."""
        self._batch.sort(key=lambda row: row.line)
        rejects = [row for row in self._batch if row.is_rejected]
        omissions = [row for row in self._batch if not row.is_rejected]
        self.rejected += len(rejects)
        self.left_out += sum(len(row.problems) for row in omissions)
        self.rejects += rejects[: MAX_REPORTED - len(self.rejects)]
        self.omissions += omissions[: MAX_REPORTED - len(self.omissions)]
        if self._writer:
            self._writer.writerows(row.cells for row in self._batch)
        self._batch = []


@contextmanager
def collect_findings(path: Path | None, header: Iterable[str]) -> Iterator[Findings]:
    """Collect what a report says and, if a path is given, write the faulty rows to a CSV file there.

    The file gets its name after the import, so that nobody reads an incomplete one.
    Raises ImportFileError if it cannot be written.
    """
    if path is None:
        yield Findings()
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
            yield Findings(writer)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

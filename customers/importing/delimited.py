"""The records of a delimited text file (RFC 4180 and its common variants), read in bounded memory."""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from typing import TextIO

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from customers.importing.headers import count_known
from customers.importing.problems import ImportFileError
from customers.importing.records import Record
from customers.spreadsheets import unescape_formula

MAX_RECORD = 2**20  # characters; a cell may have csv.field_size_limit() of them, which is 131,072
SAMPLE = 20  # lines that the delimiter is detected from
DELIMITERS = {",": gettext_lazy("comma"), ";": gettext_lazy("semicolon"), "\t": gettext_lazy("tab"), "|": "|"}
STATED_DELIMITER = re.compile(r'"?sep=([^\w"\r\n ])"?[\s,;]*', re.IGNORECASE)  # Excel's first line


class DelimitedText:
    """An iterator over the records, the header included; blank lines are skipped."""

    def __init__(self, text: TextIO, names: Collection[str]) -> None:
        first = read_first_lines(text)
        stated = STATED_DELIMITER.fullmatch(first[0])
        self.delimiter = stated[1] if stated else detect_delimiter(first, names)
        seek_start(text)
        self._lines = Lines(text)
        if stated:
            next(self._lines)
        self._reader = csv.reader(self._lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)

    def __iter__(self) -> Iterator[Record]:
        while True:
            line = self._lines.start_record()
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                raise ImportFileError(describe_csv_error(line, error)) from None
            if cells is None:
                return
            if any(cells):
                yield Record(line, [unescape_formula(cell) for cell in cells])

    @property
    def delimiter_name(self) -> str:
        return str(DELIMITERS.get(self.delimiter, self.delimiter))


class Lines:
    """Pass lines to the csv reader; raise ImportFileError before one record fills the memory."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._number = 0
        self._record = 1
        self._record_end = MAX_RECORD
        self.characters = 0

    def start_record(self) -> int:
        """Return the line that the next record starts at."""
        self._record = self._number + 1
        self._record_end = self.characters + MAX_RECORD
        return self._record

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        # Iterating over the file would read a line of any length at once.
        line = self._text.readline(self._record_end - self.characters + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self.characters += len(line)
        if self.characters > self._record_end:
            text = _("The record at line %(line)s is longer than %(limit)s characters.")
            raise ImportFileError(text % {"line": self._record, "limit": f"{MAX_RECORD:,}"})
        if "\0" in line:
            raise ImportFileError(
                _("Line %s contains a NUL character: the file is not a text file, or it is damaged.") % self._number
            )
        return line


def seek_start(text: TextIO) -> None:
    """Seek to the start of the text, after a byte order mark."""
    text.seek(0)
    if text.read(1) != "\ufeff":
        text.seek(0)


def read_first_lines(text: TextIO) -> list[str]:
    """Return the first lines that are not blank, each cut at the size limit of a field."""
    seek_start(text)
    lines: list[str] = []
    while len(lines) < SAMPLE and (line := text.readline(csv.field_size_limit())):
        if line.strip():
            lines.append(line)
    if not lines:
        raise ImportFileError(_("The file is empty."))
    return lines


def detect_delimiter(lines: Sequence[str], names: Collection[str]) -> str:
    """Return the character that splits a line into the most known headers, otherwise the first into the most cells."""

    def rank(mark: str) -> tuple[int, int]:
        rows = [next(csv.reader([line], delimiter=mark, skipinitialspace=True), []) for line in lines]
        return max(count_known(row, names) for row in rows), len(rows[0])

    return max(DELIMITERS, key=rank)


def describe_csv_error(line: int, error: csv.Error) -> str:
    match str(error):
        case "unexpected end of data":
            return _("The record at line %s has an unclosed quote.") % line
        case message if "field limit" in message:
            text = _("The record at line %(line)s has a cell of more than %(limit)s characters. Is a quote unclosed?")
            return text % {"line": line, "limit": f"{csv.field_size_limit():,}"}
        case message:
            return _("The record at line %(line)s has invalid quotes: %(error)s.") % {"line": line, "error": message}

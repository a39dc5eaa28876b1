"""Reads the records of a delimited text file (RFC 4180 and what programs make of it) in bounded memory."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from customers.importing.encoding import encoding_of
from customers.importing.problems import CannotImport, shown

LONGEST_RECORD = 2**20  # characters; a cell may have csv.field_size_limit() of them, which is 131,072
MOST_COLUMNS = 1_000
MOST_LISTED = 30
DELIMITERS = ",;\t|"


class Record(NamedTuple):
    line: int  # where it starts; a quoted cell may span lines
    cells: list[str]


@contextmanager
def open_records(path: Path, encoding: str = "") -> Iterator["Records"]:
    """Opens the file at the path; the encoding is detected unless it is stated.

    Raises CannotImport when the file cannot be read, holds no table, or its header is ambiguous.
    """
    if path.exists() and not path.is_file():
        raise CannotImport(f"This is not a file but a {'directory' if path.is_dir() else 'device'}.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise CannotImport(f"The file cannot be read: {error.strerror}.") from None
    with file:
        yield Records(file, encoding_of(file, encoding))


class Records:
    """The header of the file and, by iteration, the records below it; blank lines are passed over."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self.encoding = encoding
        text = TextIOWrapper(file, encoding, newline="")
        self.delimiter = delimiter_of(first_line(text))
        to_start(text)
        self._lines = Lines(text)
        self._reader = csv.reader(self._lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        self.header = checked_header(next(iter(self), None))

    def __iter__(self) -> Iterator[Record]:
        while True:
            line = self._lines.start_record()
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                raise CannotImport(broken_record(line, error)) from None
            if cells is None:
                return
            if any(cells):
                yield Record(line, cells)

    @property
    def position(self) -> int:
        """Bytes of the file that have been read."""
        return self._file.tell()

    @property
    def characters(self) -> int:
        """How many have been handed out as records."""
        return self._lines.characters


class Lines:
    """Hands lines to the csv reader, and stops before one record fills the memory."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._number = 0
        self._record = 1
        self._record_end = LONGEST_RECORD
        self.characters = 0

    def start_record(self) -> int:
        """The line that the next record starts at."""
        self._record = self._number + 1
        self._record_end = self.characters + LONGEST_RECORD
        return self._record

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        # Not by iteration over the file, which reads a line of any length whole.
        line = self._text.readline(self._record_end - self.characters + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self.characters += len(line)
        if self.characters > self._record_end:
            raise CannotImport(f"The record at line {self._record} is longer than {LONGEST_RECORD:,} characters.")
        if "\0" in line:
            raise CannotImport(f"Line {self._number} holds a NUL character: this is not a text file, or it is damaged.")
        return line


def to_start(text: TextIO) -> None:
    """Goes to where the text begins, behind a byte order mark."""
    text.seek(0)
    if text.read(1) != "\ufeff":
        text.seek(0)


def first_line(text: TextIO) -> str:
    """The first line that is not blank, as far as it matters for the delimiter."""
    to_start(text)
    while line := text.readline(csv.field_size_limit()):
        if line.strip():
            return line
    raise CannotImport("The file is empty.")


def delimiter_of(line: str) -> str:
    """The character that splits the line into most cells, a comma when there is only one."""
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])))


def checked_header(record: Record | None) -> list[str]:
    if record is None:
        raise CannotImport("The file is empty.")
    names = [name.strip() for name in record.cells]
    while not names[-1]:
        names.pop()
    if len(names) > MOST_COLUMNS:
        raise CannotImport(f"The header has {len(names):,} columns; {MOST_COLUMNS:,} are the most that can be read.")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise CannotImport(f"The header names {listed(twice)} twice. Rename one of the columns.")
    return names


def listed(names: Sequence[str]) -> str:
    """The names in quotes, as many as a message can hold."""
    first = ", ".join(f"“{shown(name)}”" for name in names[:MOST_LISTED] if name)
    return f"{first} and {len(names) - MOST_LISTED:,} more" if len(names) > MOST_LISTED else first


def broken_record(line: int, error: csv.Error) -> str:
    match str(error):
        case "unexpected end of data":
            return f"A quote in the record at line {line} is never closed."
        case message if "field limit" in message:
            limit = f"{csv.field_size_limit():,}"
            return f"A cell in the record at line {line} is longer than {limit} characters. Is its quote never closed?"
        case message:
            return f"The quotes in the record at line {line} do not match: {message}."

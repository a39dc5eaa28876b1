"""The records of a delimited text file (RFC 4180 and its common variants), read in bounded memory."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, NamedTuple, TextIO

from customers.importing.encoding import detect_encoding
from customers.importing.problems import ImportFileError, format_value

MAX_RECORD = 2**20  # characters; a cell may have csv.field_size_limit() of them, which is 131,072
MAX_COLUMNS = 1_000
MAX_NAMES = 30
DELIMITERS = ",;\t|"


class Record(NamedTuple):
    line: int  # where it starts; a quoted cell may span lines
    cells: list[str]


@contextmanager
def open_records(path: Path, encoding: str = "") -> Iterator["Records"]:
    """Open the file; its encoding is detected unless given.

    Raises ImportFileError if the file cannot be read, contains no table, or has an ambiguous header.
    """
    if path.exists() and not path.is_file():
        raise ImportFileError(f"Expected a file, not a {'directory' if path.is_dir() else 'device'}.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImportFileError(f"The file cannot be read: {error.strerror}.") from None
    with file:
        yield Records(file, detect_encoding(file, encoding))


class Records:
    """The header of the file and an iterator over the records below it; blank lines are skipped."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self.encoding = encoding
        text = TextIOWrapper(file, encoding, newline="")
        self.delimiter = detect_delimiter(read_first_line(text))
        seek_start(text)
        self._lines = Lines(text)
        self._reader = csv.reader(self._lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)
        self.header = parse_header(next(iter(self), None))

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
                yield Record(line, cells)

    @property
    def position(self) -> int:
        """The number of bytes read so far."""
        return self._file.tell()

    @property
    def characters(self) -> int:
        """The number of characters returned as records so far."""
        return self._lines.characters


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
            raise ImportFileError(f"The record at line {self._record} is longer than {MAX_RECORD:,} characters.")
        if "\0" in line:
            raise ImportFileError(
                f"Line {self._number} contains a NUL character: the file is not a text file, or it is damaged."
            )
        return line


def seek_start(text: TextIO) -> None:
    """Seek to the start of the text, after a byte order mark."""
    text.seek(0)
    if text.read(1) != "\ufeff":
        text.seek(0)


def read_first_line(text: TextIO) -> str:
    """Return the first line that is not blank, cut at the size limit of a field."""
    seek_start(text)
    while line := text.readline(csv.field_size_limit()):
        if line.strip():
            return line
    raise ImportFileError("The file is empty.")


def detect_delimiter(line: str) -> str:
    """Return the character that splits the line into the most cells, a comma if there is only one cell."""
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])))


def parse_header(record: Record | None) -> list[str]:
    if record is None:
        raise ImportFileError("The file is empty.")
    names = [name.strip() for name in record.cells]
    while not names[-1]:
        names.pop()
    if len(names) > MAX_COLUMNS:
        raise ImportFileError(f"The header has {len(names):,} columns; the limit is {MAX_COLUMNS:,}.")
    duplicates = sorted({name for name in names if name and names.count(name) > 1})
    if duplicates:
        raise ImportFileError(f"Duplicate header: {quote_names(duplicates)}. Rename one of the columns.")
    return names


def quote_names(names: Sequence[str]) -> str:
    """Return the names in quotes, as many as fit into a message."""
    first = ", ".join(f"“{format_value(name)}”" for name in names[:MAX_NAMES] if name)
    return f"{first} and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else first


def describe_csv_error(line: int, error: csv.Error) -> str:
    match str(error):
        case "unexpected end of data":
            return f"The record at line {line} has an unclosed quote."
        case message if "field limit" in message:
            limit = f"{csv.field_size_limit():,}"
            return f"The record at line {line} has a cell of more than {limit} characters. Is a quote unclosed?"
        case message:
            return f"The record at line {line} has invalid quotes: {message}."

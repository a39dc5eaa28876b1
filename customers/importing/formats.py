"""Files of any format as a header and the records below it."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext as _

from customers.importing.cards import is_card, read_cards
from customers.importing.delimited import DelimitedText
from customers.importing.encoding import detect_encoding
from customers.importing.headers import find_header, parse_header
from customers.importing.problems import ImportFileError
from customers.importing.records import Record

WORKBOOK = b"PK\x03\x04"  # a ZIP file
OLD_OR_LOCKED = b"\xd0\xcf\x11\xe0"  # Excel up to 2003, and any workbook with a password
MAX_HEADER = 20  # the header is one of the first records: exports put titles and notes above it


class Records:
    """The header of the file and an iterator over the records below it; blank lines are skipped."""

    def __init__(
        self, records: Iterator[Record], names: Collection[str], description: str, position: Callable[[], int]
    ) -> None:
        self.description = description
        self.position = position  # the number of bytes read so far
        first = list(islice(records, MAX_HEADER))
        index = find_header(first, names)
        self.header = parse_header(first[index] if first else None)
        self._records = chain(first[index + 1 :], records)

    def __iter__(self) -> Iterator[Record]:
        return self._records


@contextmanager
def open_records(path: Path, encoding: str = "", names: Collection[str] = ()) -> Iterator[Records]:
    """Open the file, whose format and, unless given, encoding are detected; `names` are known headers.

    Raises ImportFileError if the file cannot be read or contains no table.
    """
    if path.exists() and not path.is_file():
        raise ImportFileError(f"Expected a file, not a {'directory' if path.is_dir() else 'device'}.")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImportFileError(f"The file cannot be read: {error.strerror}.") from None
    with file:
        if is_workbook(file):
            # Here, because openpyxl takes 5 MB of each process, and few read workbooks.
            from customers.importing.workbook import open_sheet

            with open_sheet(file) as (records, description):
                yield Records(records, names, description, file.tell)
        else:
            yield open_text(file, encoding, names)


def is_workbook(file: BinaryIO) -> bool:
    """Raises ImportFileError for one that cannot be read."""
    start = file.read(4)
    file.seek(0)
    if start == OLD_OR_LOCKED:
        raise ImportFileError(
            _("The workbook has a password or the format of Excel 2003. Save it as .xlsx without one.")
        )
    return start == WORKBOOK


def open_text(file: BinaryIO, stated: str, names: Collection[str]) -> Records:
    encoding = detect_encoding(file, stated)
    is_cards = is_card(file, encoding.name)
    text = TextIOWrapper(file, encoding.name, newline="")
    if is_cards:
        return Records(read_cards(text), names, _("vCards; %s") % str(encoding), lambda: text.buffer.tell())
    table = DelimitedText(text, names)
    description = _("%(encoding)s, delimiter %(delimiter)s") % {"encoding": encoding, "delimiter": table.delimiter_name}
    return Records(iter(table), names, description, lambda: text.buffer.tell())

"""CSV as RFC 4180 has it; UTF-8 with a mark, without which Excel takes it for Windows-1252."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

from customers.exporting.rows import HEADINGS, TAG_SEPARATOR, Row
from customers.spreadsheets import escape_formula

MARK = "\ufeff"


def as_csv(batches: Iterable[list[Row]]) -> Iterator[bytes]:
    text = StringIO(MARK, newline="")
    text.seek(0, 2)
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for batch in batches:
        writer.writerows(map(escape, batch))
        yield taken(text)
    yield taken(text)


def escape(row: Row) -> list[str]:
    return [escape_formula(cell).replace(TAG_SEPARATOR, ", ") for cell in row]


def taken(text: StringIO) -> bytes:
    content = text.getvalue()
    text.seek(0)
    text.truncate()
    return content.encode()

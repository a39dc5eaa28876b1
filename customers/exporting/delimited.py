"""CSV (RFC 4180) in UTF-8 with a byte order mark, without which Excel assumes Windows-1252."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

from customers.exporting.tables import HEADINGS, TAG_SEPARATOR, Row
from customers.spreadsheets import escape_formula

BYTE_ORDER_MARK = "\ufeff"


def write_csv(batches: Iterable[list[Row]], headings: Row = HEADINGS) -> Iterator[bytes]:
    text = StringIO(BYTE_ORDER_MARK, newline="")
    text.seek(0, 2)
    writer = csv.writer(text)
    writer.writerow(headings)
    for batch in batches:
        writer.writerows(map(escape_row, batch))
        yield drain(text)
    yield drain(text)


def escape_row(row: Row) -> list[str]:
    return [escape_formula(cell).replace(TAG_SEPARATOR, ", ") for cell in row]


def drain(text: StringIO) -> bytes:
    content = text.getvalue()
    text.seek(0)
    text.truncate()
    return content.encode()

"""CSV as RFC 4180 has it; UTF-8 with a mark, without which Excel takes it for Windows-1252."""

import csv
import re
from collections.abc import Iterable, Iterator
from io import StringIO

from customers.exporting.rows import HEADINGS, TAG_SEPARATOR, Row

MARK = "\ufeff"
# What makes a spreadsheet take a cell for a formula; it takes the wide forms of East Asian keyboards too.
# https://owasp.org/www-community/attacks/CSV_Injection
WIDE = "\uff1d\uff0b\uff0d\uff20"
START = frozenset(f"=+-@\t\r\n{WIDE}")
# Excel splits at semicolons where the comma is the decimal sign, and knows nothing of our quotes then.
HIDDEN_START = re.compile(rf"(?<=[;\t\r\n])(?=[=+\-@{WIDE}])")
# -5 and +49 (0)30 901820 are what they seem to be.
NUMBER = re.compile(r"[+-]?[0-9 ()./,-]*[0-9]")


def as_csv(batches: Iterable[list[Row]]) -> Iterator[bytes]:
    text = StringIO(MARK, newline="")
    text.seek(0, 2)
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for batch in batches:
        writer.writerows(map(defused, batch))
        yield taken(text)
    yield taken(text)


def defused(row: Row) -> list[str]:
    """The row without formulas: an apostrophe makes a text of each."""
    if ";" in (line := "".join(row)) or "\n" in line or "\t" in line or "\r" in line:
        row = tuple(HIDDEN_START.sub("'", cell) for cell in row)
    cells = [f"'{cell}" if cell[:1] in START and not NUMBER.fullmatch(cell) else cell for cell in row]
    return [cell.replace(TAG_SEPARATOR, ", ") for cell in cells] if TAG_SEPARATOR in line else cells


def taken(text: StringIO) -> bytes:
    content = text.getvalue()
    text.seek(0)
    text.truncate()
    return content.encode()

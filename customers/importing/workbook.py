"""The first sheet of an Excel workbook that has rows."""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, time
from itertools import chain
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from django.utils.translation import gettext as _
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape
from openpyxl.utils.exceptions import InvalidFileException

from customers.importing.problems import ImportFileError, format_value, remove_unstorable
from customers.importing.records import Record
from customers.spreadsheets import unescape_formula

BROKEN = (BadZipFile, InvalidFileException, ParseError, KeyError, ValueError, EOFError, zlib.error)


@contextmanager
def open_sheet(file: BinaryIO) -> Iterator[tuple[Iterator[Record], str]]:
    """Return the records, read row by row, and a description. Raises ImportFileError if it is no workbook."""
    file.seek(0)
    with report_damage():
        # openpyxl and not calamine, which holds the whole sheet in memory.
        workbook: Any = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        yield choose_sheet(workbook)
    finally:
        workbook.close()


def choose_sheet(workbook: Any) -> tuple[Iterator[Record], str]:
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()  # some programs state wrong ones
        records = read_rows(sheet.iter_rows(values_only=True))
        if first := next(records, None):
            others = ", ".join(format_value(other.title) for other in workbook.worksheets if other is not sheet)
            ignored = f"; sheets ignored: {others}" if others else ""
            return chain([first], records), f"Excel workbook, sheet {format_value(sheet.title)}{ignored}"
    raise ImportFileError(_("The workbook is empty."))


def read_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[Record]:
    with report_damage():
        for line, values in enumerate(rows, 1):
            cells = [format_cell(value) for value in values]
            if any(cells):
                yield Record(line, cells)


@contextmanager
def report_damage() -> Iterator[None]:
    try:
        yield
    except BROKEN:
        raise ImportFileError(_("The file is damaged, or no Excel workbook (.xlsx).")) from None


def format_cell(value: Any) -> str:
    """Return the text; a whole number is written without a point, a date in ISO 8601."""
    if isinstance(value, str):
        return unescape_formula(remove_unstorable(unescape(value)) if "_x" in value else value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time.min:
        return value.date().isoformat()
    return "" if value is None else str(value)

"""The first sheet of an Excel workbook that has rows."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, time
from itertools import chain
from typing import Any, BinaryIO
from zipfile import ZipFile

from django.utils.translation import gettext as _
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from customers.importing.problems import ImportFileError, format_value, remove_unstorable
from customers.importing.records import Record
from customers.spreadsheets import unescape_formula

MAX_UNPACKED = 2**29  # bytes; a file of 1 MB may be a thousand times as large
MAX_IN_MEMORY = 2**25  # bytes of all parts but the sheets, such as the texts, which openpyxl holds in memory
MAX_LINE = 2**20  # the last one that Excel has
SHEETS = "xl/worksheets/"


@contextmanager
def open_sheet(file: BinaryIO) -> Iterator[tuple[Iterator[Record], str]]:
    """Return the records, read row by row, and a description. Raises ImportFileError if it is no workbook."""
    file.seek(0)
    with report_damage():
        check_size(file)
        # openpyxl and not calamine, which holds the whole sheet in memory.
        workbook: Any = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        yield choose_sheet(workbook)
    finally:
        workbook.close()


def check_size(file: BinaryIO) -> None:
    """Raises ImportFileError for what would fill the memory; zipfile unpacks no more than is stated."""
    with ZipFile(file) as archive:
        parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    sheets = sum(part.file_size for part in parts if part.filename.startswith(SHEETS))
    if unpacked > MAX_UNPACKED or unpacked - sheets > MAX_IN_MEMORY:
        raise build_size_error()


def build_size_error() -> ImportFileError:
    return ImportFileError(_("The workbook is too large. Save the sheet as CSV, and import that."))


def choose_sheet(workbook: Any) -> tuple[Iterator[Record], str]:
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()  # some programs state wrong ones
        records = read_rows(sheet.iter_rows(values_only=True))
        if first := next(records, None):
            others = ", ".join(format_value(other.title) for other in workbook.worksheets if other is not sheet)
            ignored = _("; sheets ignored: %s") % others if others else ""
            return chain([first], records), _("Excel workbook, sheet %s") % format_value(sheet.title) + ignored
    raise ImportFileError(_("The workbook is empty."))


def read_rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[Record]:
    with report_damage():
        for line, values in enumerate(rows, 1):
            if line > MAX_LINE:
                raise build_size_error()
            cells = [format_cell(value) for value in values]
            if any(cells):
                yield Record(line, cells)


@contextmanager
def report_damage() -> Iterator[None]:
    try:
        yield
    except ImportFileError:
        raise
    except Exception:  # openpyxl does not check what it reads
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

"""Apostrophes for cells that a spreadsheet would execute or change, and their removal when the file comes back.

The danger: https://owasp.org/www-community/attacks/CSV_Injection. Opened as CSV, Excel and LibreOffice show the
apostrophe and save it again; without it they save +49 30 901820 as a number without its plus.
"""

import re

# Spreadsheets accept the full-width characters of East Asian keyboards too.
WIDE = "\uff1d\uff0b\uff0d\uff20"
# Also with apostrophes of its own, so that the removal of one returns what the cell was.
START = re.compile(rf"'*[=+\-@\t\r\n{WIDE}]")
# Where the comma is the decimal sign, Excel splits at semicolons and ignores our quotes.
HIDDEN_START = re.compile(rf"(?<=[;\t\r\n])(?='*[=+\-@{WIDE}])")
ESCAPED = re.compile(rf"(?:^|(?<=[;\t\r\n]))'(?='*[=+\-@{WIDE}])|^'(?='*[\t\r\n])")
TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"')  # how programs keep Excel from taking a text for a number
NEGATIVE_NUMBER = re.compile(r"-[0-9][0-9.,]*")


def escape_formula(cell: str) -> str:
    """Return the cell with an apostrophe before anything that a spreadsheet would execute or change."""
    if ";" in cell or "\n" in cell or "\t" in cell or "\r" in cell:
        cell = HIDDEN_START.sub("'", cell)
    return f"'{cell}" if START.match(cell) and not NEGATIVE_NUMBER.fullmatch(cell) else cell


def unescape_formula(cell: str) -> str:
    """Return the cell without the apostrophes of escape_formula, and the text of ="text"."""
    if cell.startswith('="') and (text := TEXT_FORMULA.fullmatch(cell)):
        return text[1].replace('""', '"')
    return ESCAPED.sub("", cell) if "'" in cell else cell


def protect_cell(cell: str) -> str:
    """Return the cell of a workbook, which executes no text, so that unescape_formula gives back the text."""
    return cell if unescape_formula(cell) == cell else escape_formula(cell)

"""Protection against CSV injection (https://owasp.org/www-community/attacks/CSV_Injection)."""

import re

# Spreadsheets accept the full-width characters of East Asian keyboards too.
WIDE = "\uff1d\uff0b\uff0d\uff20"
START = frozenset(f"=+-@\t\r\n{WIDE}")
# Where the comma is the decimal sign, Excel splits at semicolons and ignores our quotes.
HIDDEN_START = re.compile(rf"(?<=[;\t\r\n])(?=[=+\-@{WIDE}])")
# -5 and +49 (0)30 901820 are harmless.
NUMBER = re.compile(r"[+-]?[0-9 ()./,-]*[0-9]")


def escape_formula(cell: str) -> str:
    """Return the cell with an apostrophe before anything that a spreadsheet would execute."""
    if ";" in cell or "\n" in cell or "\t" in cell or "\r" in cell:
        cell = HIDDEN_START.sub("'", cell)
    return f"'{cell}" if cell[:1] in START and not NUMBER.fullmatch(cell) else cell

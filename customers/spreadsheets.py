"""Text that no spreadsheet program runs as a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""

import re

# They take the wide forms of East Asian keyboards too.
WIDE = "\uff1d\uff0b\uff0d\uff20"
START = frozenset(f"=+-@\t\r\n{WIDE}")
# Excel splits at semicolons where the comma is the decimal sign, and knows nothing of our quotes then.
HIDDEN_START = re.compile(rf"(?<=[;\t\r\n])(?=[=+\-@{WIDE}])")
# -5 and +49 (0)30 901820 are what they seem to be.
NUMBER = re.compile(r"[+-]?[0-9 ()./,-]*[0-9]")


def escape_formula(cell: str) -> str:
    """The cell, with an apostrophe before whatever a spreadsheet would run."""
    if ";" in cell or "\n" in cell or "\t" in cell or "\r" in cell:
        cell = HIDDEN_START.sub("'", cell)
    return f"'{cell}" if cell[:1] in START and not NUMBER.fullmatch(cell) else cell

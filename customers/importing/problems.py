"""What can be wrong: with a file as a whole, and with one of its rows."""

from typing import NamedTuple

LONGEST_VALUE = 80  # characters of a value that a message repeats


class CannotImport(Exception):
    """The file, or what was asked for, is of no use; the message tells a person what to do. Nothing is written."""


class Fault(NamedTuple):
    """Why a row is refused; the column is named as the file names it, blank where the row as a whole is at fault."""

    column: str
    value: str
    reason: str


def shown(value: str) -> str:
    """The value in one short line: control characters are written as escapes, so that they cannot act."""
    short = value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 1]}…"
    return visible(short)


def visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)

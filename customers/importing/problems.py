"""Problems with a file as a whole and with single rows."""

from collections.abc import Sequence
from typing import NamedTuple

MAX_VALUE = 80  # characters of a value in a message


class ImportFileError(Exception):
    """The file or the options cannot be used; the message says what to do. Nothing is written."""


class ColumnsError(ImportFileError):
    """The columns of this header do not match the fields."""

    def __init__(self, message: str, header: Sequence[str]) -> None:
        super().__init__(message)
        self.header = header


class ImportBusyError(ImportFileError):
    """Another import is running."""


class Problem(NamedTuple):
    """Why a row is rejected; `column` is the file's header, blank if the problem is the row as a whole."""

    column: str
    value: str
    reason: str


def format_value(value: str) -> str:
    """Return the value as one short line with control characters escaped, which a terminal might execute."""
    short = value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 1]}…"
    return escape_control(short)


def remove_unstorable(text: str) -> str:
    """Return the text without NULs and lone surrogates, which PostgreSQL refuses."""
    return text.encode(errors="ignore").decode().replace("\0", "")


def escape_control(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)

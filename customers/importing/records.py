"""A row of a file, whatever its format."""

from typing import NamedTuple


class Record(NamedTuple):
    line: int  # where it starts; a quoted cell may span lines
    cells: list[str]

"""The header of a file: where it is, and how its names are compared."""

import re
from collections.abc import Collection, Sequence

from django.utils.translation import gettext as _

from customers.importing.problems import ImportFileError, format_value
from customers.importing.records import Record

MAX_COLUMNS = 1_000
MAX_NAMES = 30


def normalize_header(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def count_known(cells: Sequence[str], names: Collection[str]) -> int:
    return len({normalize_header(cell) for cell in cells} & set(names))


def find_header(records: Sequence[Record], names: Collection[str]) -> int:
    """Return the position of the record with the most known names, which titles may precede."""
    counts = [count_known(record.cells, names) for record in records]
    return counts.index(max(counts, default=0)) if counts else 0


def parse_header(record: Record | None) -> list[str]:
    names = [name.strip() for name in record.cells] if record else []
    while names and not names[-1]:
        names.pop()
    if not names:
        raise ImportFileError(_("The file is empty."))
    if len(names) > MAX_COLUMNS:
        text = _("The header has %(count)s columns; the limit is %(limit)s.")
        raise ImportFileError(text % {"count": f"{len(names):,}", "limit": f"{MAX_COLUMNS:,}"})
    return names


def quote_names(names: Sequence[str]) -> str:
    """Return the names in quotes, as many as fit into a message."""
    first = ", ".join(f"“{format_value(name)}”" for name in names[:MAX_NAMES] if name)
    if len(names) <= MAX_NAMES:
        return first
    return _("%(names)s and %(count)s more") % {"names": first, "count": f"{len(names) - MAX_NAMES:,}"}

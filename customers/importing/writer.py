"""Decides for each valid row of a batch what it does to the database, and does it."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, transaction

from customers.importing.employers import create_employers, link_employers
from customers.importing.kinds import Kind
from customers.importing.presets import Columns
from customers.importing.problems import Fault, shown, visible
from customers.importing.rejects import Refusals
from customers.importing.rows import Row
from customers.importing.table import Table


class Mode(StrEnum):
    BOTH = "both"
    CREATE = "create"
    UPDATE = "update"


class Writer:
    """Writes the rows of one file, and counts; inside the caller's transaction."""

    def __init__(self, kind: Kind, columns: Columns, mode: Mode, refusals: Refusals) -> None:
        self._kind = kind
        self._columns = columns
        self._mode = mode
        self._refusals = refusals
        self._table = Table(kind)
        self._table.start()
        self.created = self.updated = self.unchanged = self.skipped = self.employers = 0

    def write(self, rows: Sequence[Row]) -> None:
        rows = self._with_employers(rows)
        keys = self._table.keys(rows)
        repeated, matching = self._table.repeated(keys, len(rows)), self._table.matching(keys)
        for row in rows:
            if row.line in repeated:
                self._refuse_key(row, f"Line {repeated[row.line]} has the same")
        fresh = (row for row in rows if row.line not in repeated)
        self._apply([row for row in fresh if self._changes(row, matching.get(row.line, []))])

    def _with_employers(self, rows: Sequence[Row]) -> Sequence[Row]:
        named = [row for row in rows if row.employer]
        ambiguous = dict(link_employers(named)) if named else {}
        for row, reason in ambiguous.items():
            self._refuse(row, reason, "company")
        return [row for row in rows if row not in ambiguous]

    def _changes(self, row: Row, matching: list[dict[str, Any]]) -> bool:
        """Whether the row has something to write; if not, it is counted here."""
        if len(matching) > 1:
            self._refuse_key(row, f"{len(matching)} {self._kind.model._meta.verbose_name_plural} have this")
        elif self._mode == (Mode.CREATE if matching else Mode.UPDATE):
            self.skipped += 1
        elif not matching or row.merge(self._kind, matching[0]):
            return True
        else:
            self.unchanged += 1
        return False

    def _apply(self, rows: list[Row]) -> None:
        """Writes the rows; one that the database refuses is found by halving, and the others are written."""
        if not rows:
            return
        try:
            with transaction.atomic():
                employers = create_employers([row for row in rows if row.employer_missing])
                new, known = [row for row in rows if not row.known], [row for row in rows if row.known]
                self._table.insert(new)
                self._table.update(known)
        except (IntegrityError, DataError) as error:
            if len(rows) == 1:
                self._refuse(rows[0], self._reason(error))
                return
            self._apply(rows[: len(rows) // 2])
            self._apply(rows[len(rows) // 2 :])
        else:
            self.created += len(new)
            self.updated += len(known)
            self.employers += employers

    def _reason(self, error: DatabaseError) -> str:
        """The message of the broken constraint, else the server's first line."""
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        for constraint in self._kind.model._meta.constraints:
            if constraint.name == name:
                return str(constraint.get_violation_error_message())
        return visible(str(error).partition("\n")[0])

    def _refuse_key(self, row: Row, what: str) -> None:
        fields = self._kind.key_fields(row.values)
        self._refuse(row, f"{what} {' and '.join(self._kind.labels[field] for field in fields)}.", fields[0])

    def _refuse(self, row: Row, reason: str, field: str = "") -> None:
        column, value = self._columns.source(field, row.record.cells)
        self._refusals.add(row.record, Fault(column, shown(value), reason))

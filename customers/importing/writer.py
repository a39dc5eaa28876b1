"""Creates or updates the record of each valid row."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, transaction

from customers.importing.employers import create_employers, link_employers
from customers.importing.kinds import Kind
from customers.importing.presets import Columns
from customers.importing.problems import Problem, escape_control, format_value
from customers.importing.rejects import RejectedRows
from customers.importing.rows import Row
from customers.importing.table import Table


class Mode(StrEnum):
    BOTH = "both"
    CREATE = "create"
    UPDATE = "update"


class Writer:
    """Writes the rows of one file inside the caller's transaction, and counts them."""

    def __init__(self, kind: Kind, columns: Columns, mode: Mode, rejects: RejectedRows) -> None:
        self._kind = kind
        self._columns = columns
        self._mode = mode
        self._rejects = rejects
        self._table = Table(kind)
        self._table.create_temporary()
        self.created = self.updated = self.unchanged = self.skipped = self.employers = 0

    def write(self, rows: Sequence[Row]) -> None:
        rows = self._link_employers(rows)
        keys = self._table.keys(rows)
        repeats, matches = self._table.find_repeats(keys, len(rows)), self._table.find_matches(keys)
        for row in rows:
            if row.line in repeats:
                self._reject_key(row, f"Line {repeats[row.line]} has the same")
        unique = (row for row in rows if row.line not in repeats)
        self._apply([row for row in unique if self._must_write(row, matches.get(row.line, []))])

    def _link_employers(self, rows: Sequence[Row]) -> Sequence[Row]:
        named = [row for row in rows if row.employer]
        ambiguous = dict(link_employers(named)) if named else {}
        for row, reason in ambiguous.items():
            self._reject(row, reason, "company")
        return [row for row in rows if row not in ambiguous]

    def _must_write(self, row: Row, matches: list[dict[str, Any]]) -> bool:
        """Return whether the row must be written; otherwise count or reject it."""
        if len(matches) > 1:
            self._reject_key(row, f"{len(matches)} {self._kind.model._meta.verbose_name_plural} have this")
        elif self._mode == (Mode.CREATE if matches else Mode.UPDATE):
            self.skipped += 1
        elif not matches or row.merge(self._kind, matches[0]):
            return True
        else:
            self.unchanged += 1
        return False

    def _apply(self, rows: list[Row]) -> None:
        """Write the rows; if the database rejects one, find it by bisection and write the others."""
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
                self._reject(rows[0], self._describe(error))
                return
            self._apply(rows[: len(rows) // 2])
            self._apply(rows[len(rows) // 2 :])
        else:
            self.created += len(new)
            self.updated += len(known)
            self.employers += employers

    def _describe(self, error: DatabaseError) -> str:
        """Return the message of the violated constraint, or the first line of the server's message."""
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        for constraint in self._kind.model._meta.constraints:
            if constraint.name == name:
                return str(constraint.get_violation_error_message())
        return escape_control(str(error).partition("\n")[0])

    def _reject_key(self, row: Row, what: str) -> None:
        fields = self._kind.key_fields(row.values)
        self._reject(row, f"{what} {' and '.join(self._kind.labels[field] for field in fields)}.", fields[0])

    def _reject(self, row: Row, reason: str, field: str = "") -> None:
        column, value = self._columns.source(field, row.record.cells)
        self._rejects.add(row.record, Problem(column, format_value(value), reason))

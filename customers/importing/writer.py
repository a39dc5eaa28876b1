"""Creates or updates the record of each valid row."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, transaction
from django.utils.translation import gettext as _

from customers.importing.employers import create_employers, link_employers
from customers.importing.findings import ERROR_COLUMNS, Findings
from customers.importing.kinds import Kind
from customers.importing.presets import Columns
from customers.importing.problems import Problem, escape_control, format_value
from customers.importing.rows import Row
from customers.importing.table import Table


class Mode(StrEnum):
    BOTH = "both"
    CREATE = "create"
    UPDATE = "update"


class Writer:
    """Writes the rows of one file inside the caller's transaction, and counts them."""

    def __init__(self, kind: Kind, columns: Columns, mode: Mode, findings: Findings, *, strict: bool = False) -> None:
        self._kind = kind
        self._columns = columns
        self._mode = mode
        self._findings = findings
        self._strict = strict
        self._table = Table(kind, is_correction=tuple(columns.header[: len(ERROR_COLUMNS)]) == ERROR_COLUMNS)
        self._table.create_temporary()
        self.created = self.updated = self.unchanged = self.repeated = self.skipped = self.employers = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Write the rows. The first row with a key creates or updates its record, the others fill its blanks."""
        merged = self._merge(self._link_employers(rows))
        changed = [row for row in merged if row.is_changed]
        self._find_similar([row for row in changed if not row.known])
        self._apply(changed)
        unchanged = [row for row in merged if not row.is_changed]
        self.repeated += sum(row.is_repeat for row in unchanged)
        self.unchanged += sum(not row.is_repeat for row in unchanged)
        self._findings.add_sample(row for row in merged if not row.is_rejected)
        for row in rows:
            if row.left_out and not row.is_rejected:
                self._findings.leave_out(row.record, row.left_out)

    def _find_similar(self, new: Sequence[Row]) -> None:
        if new and self._kind.similar_conditions:
            self._findings.add_similar(self._table.find_similar(self._table.keys(new)))

    def _link_employers(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Set the companies, leaving out ambiguous names."""
        named = [row for row in rows if row.employer]
        for row, reason in link_employers(named) if named else ():
            if self._strict:
                self._reject(row, reason, "company")
            else:
                row.leave_out_employer(self._describe_cell(row, reason, "company"))
        return [row for row in rows if not row.is_rejected]

    def _merge(self, rows: Sequence[Row]) -> list[Row]:
        """Return one row for each key, with the values of its record and of its repeats; count the others."""
        keys = self._table.keys(rows)
        repeats, matches = self._table.find_repeats(keys, len(rows)), self._table.find_matches(keys)
        merged: dict[int, Row] = {}  # by the line of the first row with the key
        skipped: dict[int, Row] = {}
        for row in rows:
            first, records = repeats.get(row.line, row.line), matches.get(row.line, [])
            row.is_repeat = first != row.line and first not in skipped
            if row.is_repeat and self._strict:
                self._reject_key(row, _("Line %(line)s has the same %(fields)s."), line=first)
            elif len(records) > 1:
                names = self._kind.model._meta.verbose_name_plural
                self._reject_key(row, _("%(count)s %(names)s have this %(fields)s."), count=len(records), names=names)
            elif first in merged:
                merged[first].fill(self._kind, row)
                self.repeated += 1
            elif self._is_skipped(row, records):
                skipped[row.line] = row
            else:
                row.merge(self._kind, records)
                merged[first] = row
        self._findings.add_repeats(repeats)
        self._skip(list(skipped.values()))
        return list(merged.values())

    def _is_skipped(self, row: Row, records: Sequence[dict[str, Any]]) -> bool:
        if self._mode == Mode.UPDATE:
            return not records
        return self._mode == Mode.CREATE and bool(records) and not row.is_repeat

    def _skip(self, rows: Sequence[Row]) -> None:
        """Count the rows, and let later rows with their keys be skipped, too, not fill the blanks of records."""
        self.skipped += len(rows)
        if rows:
            self._table.forget(self._table.keys(rows))

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
            self.updated += sum(not row.is_repeat for row in known)
            self.repeated += sum(row.is_repeat for row in known)
            self.employers += employers

    def _describe(self, error: DatabaseError) -> str:
        """Return the message of the violated constraint, or the first line of the server's message."""
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        for constraint in self._kind.model._meta.constraints:
            if constraint.name == name:
                return str(constraint.get_violation_error_message())
        return escape_control(str(error).partition("\n")[0])

    def _reject_key(self, row: Row, text: str, **values: Any) -> None:
        fields = self._kind.key_fields(row.values)
        values["fields"] = _(" and ").join(self._kind.labels[field] for field in fields)
        self._reject(row, text % values, fields[0])

    def _reject(self, row: Row, reason: str, field: str = "") -> None:
        row.is_rejected = True
        self._findings.reject(row.record, *row.left_out, self._describe_cell(row, reason, field))

    def _describe_cell(self, row: Row, reason: str, field: str) -> Problem:
        column, value = self._columns.source(field, row.record.cells)
        return Problem(column, format_value(value), reason)

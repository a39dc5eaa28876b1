"""The statements on the table that an import writes to, each for a whole batch of rows."""

# ruff: noqa: S608 - only names of our models are formatted into the statements; values are parameters

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from customers.importing.kinds import Kind
from customers.importing.recordset import column_types, execute, query, recordset, to_json
from customers.importing.rows import Row


class Table:
    def __init__(self, kind: Kind, *, is_correction: bool = False) -> None:
        meta = kind.model._meta
        self.name = connection.ops.quote_name(meta.db_table)
        self._kind = kind
        self._conditions = [*kind.match_conditions, *(kind.correction_conditions if is_correction else ())]
        self._keys = {"line": "integer", "employer": "text"} | column_types(kind.model, kind.identifying_columns)
        self._inserted = column_types(kind.model, kind.inserted_columns)
        self._updated = column_types(kind.model, ("id", *kind.stored_columns))

    def create_temporary(self) -> None:
        """Create a temporary table for the keys of the file, which may not fit into memory."""
        execute("DROP TABLE IF EXISTS import_seen")
        execute("CREATE TEMP TABLE import_seen (key text PRIMARY KEY, line integer NOT NULL) ON COMMIT DROP")

    def keys(self, rows: Sequence[Row]) -> str:
        """Return the rows as the JSON that the methods below take."""
        columns = self._kind.identifying_columns
        return to_json(
            {"line": row.line, "employer": row.employer, **{column: row.values[column] for column in columns}}
            for row in rows
        )

    def find_repeats(self, rows: str, count: int) -> dict[int, int]:
        """Return, for each of the `count` rows that repeats a key, its line and the line of the key's first row."""
        keys = f"SELECT r.line, {self._kind.key} AS key FROM {recordset(self._keys)}"
        added = execute(
            f"INSERT INTO import_seen (line, key) {keys} ORDER BY r.line ON CONFLICT DO NOTHING",
            rows,
        )
        if added == count:
            return {}
        repeats = query(
            f"SELECT row.line, seen.line FROM ({keys}) AS row JOIN import_seen seen USING (key)"
            " WHERE row.line <> seen.line",
            rows,
        )
        return dict(repeats)

    def forget(self, rows: str) -> None:
        """Let a later row with the key of one of these be the first."""
        execute(
            f"DELETE FROM import_seen seen USING {recordset(self._keys)} WHERE seen.key = {self._kind.key}",
            rows,
        )

    def find_similar(self, rows: str) -> list[tuple[int, str, int]]:
        """Return, for each row that has one, its line, what it shares with a similar record, and that one's id."""
        found = query(
            f"WITH r AS MATERIALIZED (SELECT * FROM {recordset(self._keys)}) "
            + " UNION ALL ".join(
                f"SELECT r.line, {number}, min(t.id) FROM r JOIN {self.name} t ON {condition} GROUP BY r.line"
                for number, (_common, condition) in enumerate(self._kind.similar_conditions)
            ),
            rows,
        )
        labels = [str(common) for common, _condition in self._kind.similar_conditions]
        # The first condition wins.
        by_line = {line: (line, labels[number], key) for line, number, key in reversed(found)}
        return [by_line[line] for line in sorted(by_line)]

    def find_matches(self, rows: str) -> dict[int, list[dict[str, Any]]]:
        """Return the existing records of each row, by its line."""
        columns = ("id", *self._kind.stored_columns)
        column_list = ", ".join(f"t.{connection.ops.quote_name(column)}" for column in columns)
        matches = query(
            f"WITH r AS MATERIALIZED (SELECT * FROM {recordset(self._keys)}) "
            + " UNION ALL ".join(
                f"SELECT r.line, {column_list} FROM r JOIN {self.name} t ON {s}" for s in self._conditions
            ),
            rows,
        )
        by_line: dict[int, list[dict[str, Any]]] = {}
        for line, *values in matches:
            by_line.setdefault(line, []).append(dict(zip(columns, values, strict=True)))
        return by_line

    def insert(self, rows: Sequence[Row]) -> None:
        columns = quote_columns(self._inserted)
        execute(
            f"INSERT INTO {self.name} ({columns}) SELECT {columns} FROM {recordset(self._inserted)}",
            to_json(row.values for row in rows),
        )

    def update(self, rows: Sequence[Row]) -> None:
        changes = ", ".join(f"{name} = r.{name}" for name in map(connection.ops.quote_name, self._kind.stored_columns))
        execute(
            f"UPDATE {self.name} t SET {changes}, updated_at = statement_timestamp()"
            f" FROM {recordset(self._updated)} WHERE t.id = r.id",
            to_json(row.values for row in rows),
        )


def quote_columns(columns: Iterable[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, columns))

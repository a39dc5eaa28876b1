"""The statements on the table that an import writes to, each for a whole batch of rows."""

# ruff: noqa: S608 - what the statements are made of are names of our models; values are parameters

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from customers.importing.kinds import Kind
from customers.importing.recordset import execute, parameter, query, recordset, types_of
from customers.importing.rows import Row


class Table:
    def __init__(self, kind: Kind) -> None:
        meta = kind.model._meta
        self.name = connection.ops.quote_name(meta.db_table)
        self._kind = kind
        self._keys = {"line": "integer", "employer": "text"} | types_of(kind.model, kind.key_columns)
        self._inserted = types_of(kind.model, kind.inserted)
        self._updated = types_of(kind.model, ("id", *kind.stored))

    def start(self) -> None:
        """Makes room for the keys that the file has used, on disk and not in memory."""
        execute("DROP TABLE IF EXISTS import_seen")
        execute("CREATE TEMP TABLE import_seen (key text PRIMARY KEY, line integer NOT NULL) ON COMMIT DROP")

    def keys(self, rows: Sequence[Row]) -> str:
        """The rows as `repeated` and `matching` take them."""
        columns = self._kind.key_columns
        return parameter(
            {"line": row.line, "employer": row.employer, **{column: row.values[column] for column in columns}}
            for row in rows
        )

    def repeated(self, rows: str, count: int) -> dict[int, int]:
        """The line of the first row with the same key, by the line of each of the `count` rows that repeats one."""
        keys = f"SELECT r.line, {self._kind.key} AS key FROM {recordset(self._keys)}"
        added = execute(
            f"INSERT INTO import_seen (line, key) {keys} ORDER BY r.line ON CONFLICT DO NOTHING",
            rows,
        )
        if added == count:
            return {}
        found = query(
            f"SELECT row.line, seen.line FROM ({keys}) AS row JOIN import_seen seen USING (key)"
            " WHERE row.line <> seen.line",
            rows,
        )
        return dict(found)

    def matching(self, rows: str) -> dict[int, list[dict[str, Any]]]:
        """The records that each row is about, by its line."""
        columns = ("id", *self._kind.stored)
        listed = ", ".join(f"t.{connection.ops.quote_name(column)}" for column in columns)
        found = query(
            f"WITH r AS MATERIALIZED (SELECT * FROM {recordset(self._keys)}) "
            + " UNION ALL ".join(f"SELECT r.line, {listed} FROM r JOIN {self.name} t ON {s}" for s in self._kind.same),
            rows,
        )
        by_line: dict[int, list[dict[str, Any]]] = {}
        for line, *values in found:
            by_line.setdefault(line, []).append(dict(zip(columns, values, strict=True)))
        return by_line

    def insert(self, rows: Sequence[Row]) -> None:
        columns = quoted(self._inserted)
        execute(
            f"INSERT INTO {self.name} ({columns}) SELECT {columns} FROM {recordset(self._inserted)}",
            parameter(row.values for row in rows),
        )

    def update(self, rows: Sequence[Row]) -> None:
        changes = ", ".join(f"{name} = r.{name}" for name in map(connection.ops.quote_name, self._kind.stored))
        execute(
            f"UPDATE {self.name} t SET {changes}, updated_at = statement_timestamp()"
            f" FROM {recordset(self._updated)} WHERE t.id = r.id",
            parameter(row.values for row in rows),
        )


def quoted(columns: Iterable[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, columns))

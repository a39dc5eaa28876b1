"""Rows of a file as a table that PostgreSQL can join with: one JSON parameter for any number of rows."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection, models


def column_types(model: type[models.Model], columns: Iterable[str]) -> dict[str, str]:
    """Return the column types; text has no maximum length here, so that the table's own limit applies."""
    types = {
        field.column: "text" if isinstance(field, models.CharField) else str(field.db_type(connection))
        for field in model._meta.concrete_fields
    }
    return {column: types[column] for column in columns}


def recordset(types: Mapping[str, str]) -> str:
    """Return a FROM item named `r` with columns of these types; its parameter comes from `to_json`."""
    columns = ", ".join(f"{connection.ops.quote_name(name)} {kind}" for name, kind in types.items())
    return f"json_to_recordset(%s) AS r ({columns})"


def to_json(rows: Iterable[Mapping[str, object]]) -> str:
    return json.dumps(list(rows), ensure_ascii=False)


def query(sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def execute(sql: str, *parameters: str | int) -> int:
    """Execute the statement and return the number of rows affected."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.rowcount)

"""Rows of a file as a table that PostgreSQL can join with: one JSON parameter, whatever their number."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection, models


def types_of(model: type[models.Model], columns: Iterable[str]) -> dict[str, str]:
    """The types by column; a text has any length here, so that it is the table that refuses one."""
    types = {
        field.column: "text" if isinstance(field, models.CharField) else str(field.db_type(connection))
        for field in model._meta.concrete_fields
    }
    return {column: types[column] for column in columns}


def recordset(types: Mapping[str, str]) -> str:
    """A FROM item named `r`, with columns of these types, for the parameter that `parameter` makes."""
    columns = ", ".join(f"{connection.ops.quote_name(name)} {kind}" for name, kind in types.items())
    return f"json_to_recordset(%s) AS r ({columns})"


def parameter(rows: Iterable[Mapping[str, object]]) -> str:
    return json.dumps(list(rows), ensure_ascii=False)


def query(sql: str, *parameters: str | int) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def execute(sql: str, *parameters: str | int) -> int:
    """Runs the statement and returns how many rows it wrote."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        written: int = cursor.rowcount
    return written

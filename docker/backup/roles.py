"""The roles of a backup, made where they are missing; one that exists is left as it is, its password included."""

import re
from collections.abc import Iterator
from typing import Any

# A comment, a command to psql, or a statement: a text in quotation marks may have lines and semicolons of its own.
TOKEN = re.compile(r"""--.*|\\.*|(?P<statement>[A-Z](?:[^'";]|'[^']*'|"[^"]*")*;)""")
IDENTIFIER = r'(?:"(?:[^"]|"")+"|[\w$]+)'
ROLE = re.compile(rf"(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE) ({IDENTIFIER})")
MEMBERSHIP = re.compile(rf"GRANT ({IDENTIFIER}) TO ({IDENTIFIER})")


def missing(cursor: Any, globals_sql: str) -> list[str]:
    """Those of `pg_dumpall --globals-only` that this server has not."""
    known = existing(cursor)
    named = [plain(found[1]) for found in map(ROLE.match, statements(globals_sql)) if found]
    return [role for role in dict.fromkeys(named) if role not in known]


def create(cursor: Any, globals_sql: str) -> None:
    """Tablespaces are left out: they are places on the disk of a server that may be gone."""
    new = set(missing(cursor, globals_sql))
    for statement in statements(globals_sql):
        if is_about(statement, new):
            cursor.execute(statement)


def existing(cursor: Any) -> set[str]:
    cursor.execute("SELECT rolname FROM pg_roles")
    return {name for (name,) in cursor.fetchall()}


def is_about(statement: str, new: set[str]) -> bool:
    if found := ROLE.match(statement):
        return plain(found[1]) in new
    found = MEMBERSHIP.match(statement)
    return bool(found and {plain(found[1]), plain(found[2])} & new)


def statements(sql: str) -> Iterator[str]:
    """Whole ones, without what stands between them."""
    return (found["statement"] for found in TOKEN.finditer(sql) if found["statement"])


def plain(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier

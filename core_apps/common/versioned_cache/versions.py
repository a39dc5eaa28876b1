"""The version of the data, as PostgreSQL has it; and which statements make it a new one."""

import re
from functools import cache
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections

# What no cached answer shows.
UNSEEN_APPS = frozenset({"admin", "common", "contenttypes", "sessions"})
# Nor these columns, written with every login and every use of a token.
UNSEEN_UPDATE = re.compile(r'UPDATE "\w+" SET "(?:last_login|last_used_at)" = \S+ WHERE ')
READING = re.compile(
    r"[\s(]*(?:SELECT|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT|SET|RESET|SHOW|EXPLAIN|FETCH|CLOSE|LOCK|ANALYZE|VACUUM)\b",
    re.IGNORECASE,
)
QUERY = re.compile(r"\s*WITH\b(?!.*\b(?:INSERT|UPDATE|DELETE|MERGE)\b)", re.IGNORECASE | re.DOTALL)

# The sequence goes back with a restored database, which has a number of its own. Neither query fails where a
# migration has not made the sequence yet: then there is no version, and nothing is cached.
LAST = "coalesce(pg_sequence_last_value(s.oid), 0)"
NEXT = "nextval(s.oid)"
ASK = """
    SELECT d.oid || '.' || {} FROM pg_database d, pg_class s
    WHERE d.datname = current_database() AND s.oid = to_regclass('cache_version')
"""


def current() -> str | None:
    return ask(LAST)


def advance() -> str | None:
    return ask(NEXT)


def ask(value: str) -> str | None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(ASK.format(value))
        row = cursor.fetchone()
    return row[0] if row else None


def writes(sql: Any) -> bool:
    """Whether the statement may change what an answer shows; in doubt it does."""
    if not isinstance(sql, str):  # psycopg2's composed statements
        return True
    if sql.startswith("SELECT") or READING.match(sql) or not seen_tables().search(sql):
        return False
    return not (UNSEEN_UPDATE.match(sql) or QUERY.match(sql))


@cache
def seen_tables() -> re.Pattern[str]:
    """Of every app but those above: one that is new need not be named anywhere."""
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label not in UNSEEN_APPS]
    return re.compile(rf"\b(?:{'|'.join(sorted(re.escape(model._meta.db_table) for model in models))})\b")

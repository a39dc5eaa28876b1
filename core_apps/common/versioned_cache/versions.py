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

# Neither fails where a migration has not made the sequences yet: then there is no version, and nothing is cached.
ASK = """
    SELECT d.oid || '.' || coalesce(pg_sequence_last_value(s.oid), 0), coalesce(
        pg_sequence_last_value(to_regclass('cache_distrusted_until')) > 1000 * extract(epoch FROM clock_timestamp()),
        false)
    FROM pg_database d, pg_class s
    WHERE d.datname = current_database() AND s.oid = to_regclass('cache_version')
"""
ADVANCE = "SELECT nextval(oid) FROM pg_class WHERE oid = to_regclass('cache_version')"
DISTRUST = """
    SELECT setval(oid, greatest(pg_sequence_last_value(oid),
                                (1000 * (extract(epoch FROM clock_timestamp()) + %s))::bigint))
    FROM pg_class WHERE oid = to_regclass('cache_distrusted_until')
"""


def current() -> tuple[str, bool] | None:
    """The version, and whether Redis is distrusted now: whether a writer has failed to tell it of a new one."""
    row = ask(ASK)
    return (row[0], row[1]) if row else None


def advance() -> None:
    ask(ADVANCE)


def distrust(seconds: float) -> None:
    ask(DISTRUST, seconds)


def ask(sql: str, *parameters: Any) -> tuple[Any, ...] | None:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql, parameters or None)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def writes(sql: Any) -> bool:
    """Whether the statement may change what an answer shows; in doubt, as of several statements at once, it does."""
    if not isinstance(sql, str):  # psycopg2's composed statements
        return True
    if ";" not in sql and (sql.startswith("SELECT") or READING.match(sql)):
        return False
    return bool(seen_tables().search(sql) and not UNSEEN_UPDATE.match(sql) and not QUERY.match(sql))


@cache
def seen_tables() -> re.Pattern[str]:
    """Of every app but those above: one that is new need not be named anywhere."""
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label not in UNSEEN_APPS]
    return re.compile(rf"\b(?:{'|'.join(sorted(re.escape(model._meta.db_table) for model in models))})\b")

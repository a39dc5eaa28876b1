"""Replaces what tells of a person or a firm by something invented, so that a copy of real data may leave the server.

Blank stays blank, and what belongs together stays together: the copy keeps the size and the shape of the original.
"""

from django.db import connection, transaction

from core_apps.operations.database import without_limit
from customers.demo import INTERESTS, NOTES, read

EMPTIED = ("accounts_apitoken", "api_idempotencykey", "django_admin_log", "django_session")
# What is public, or nobody's: exhibitions, permissions, Django's own.
UNTOUCHED = {
    "accounts_user_groups",
    "accounts_user_user_permissions",
    "auth_group",
    "auth_group_permissions",
    "auth_permission",
    "customers_capture",
    "customers_customer_tags",
    "customers_exhibition",
    "customers_exhibition_staff",
    "data_version",
    "django_content_type",
    "django_migrations",
}
# SQL by column; {given_names} and the like are lists of the demo, from which each row takes one by its number.
INVENTED = {
    "accounts_user": {
        "email": "'user' || id || '@example.com'",
        "name": "'User ' || id",
        # As Django marks a password that nothing matches; `createsuperuser` makes somebody who can log in.
        "password": "'!' || gen_random_uuid()",
    },
    "customers_company": {
        "public_id": "gen_random_uuid()",
        "name": "'Company ' || id",
        "domain": "'company' || id || '.example'",
        "website": "'https://company' || id || '.example/'",
    },
    "customers_customer": {
        "public_id": "gen_random_uuid()",
        "given_name": "{given_names}",
        "family_name": "{family_names} || ' ' || id",
        "email": "'customer' || id || '@example.com'",
        # Numbers that no telephone has: https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama
        "phone": "'+44 1632 960' || lpad((id % 1000)::text, 3, '0')",
        "phone_e164": "'+441632960' || lpad((id % 1000)::text, 3, '0')",
        "job_title": "{job_titles}",
        "notes": "{notes}",
        # The files stay where they are.
        "photo": "''",
    },
    "customers_followup": {
        "public_id": "gen_random_uuid()",
        "note": "{notes}",
    },
    "customers_tag": {
        "public_id": "gen_random_uuid()",
        "name": "'Tag ' || id",
    },
    "customers_visit": {
        "public_id": "gen_random_uuid()",
        "interests": "ARRAY[{interests}]",
        "note": "{notes}",
    },
}
WRITTEN_BY_TRIGGERS = {"search_text"}
KEPT = {
    "accounts_user": {"id", "is_staff", "is_active", "is_superuser", "date_joined", "last_login"},
    "customers_company": {"id", "created_at", "updated_at", "country", "industry"} | WRITTEN_BY_TRIGGERS,
    "customers_customer": {"id", "created_at", "updated_at", "country", "stage", "source", "company_id", "owner_id"}
    | {"archived_at"}
    | WRITTEN_BY_TRIGGERS,
    "customers_followup": {"id", "created_at", "updated_at", "customer_id", "visit_id", "assignee_id", "channel"}
    | {"due_at", "priority", "outcome", "completed_at"},
    "customers_tag": {"id", "created_at", "updated_at"},
    "customers_visit": {
        "id",
        "created_at",
        "updated_at",
        "customer_id",
        "exhibition_id",
        "visited_at",
        "stand",
        "grade",
    }
    | {"captured_by_id"},
}


class UnclassifiedError(Exception):
    """A table or column of which nobody has said whether it tells of a person."""


def replace_personal_data() -> dict[str, int]:
    """In the whole database, or, where it raises, in nothing of it; returns the rows by table.

    PostgreSQL keeps former rows and samples of their values; both are gone when this returns.

    Raises UnclassifiedError.
    """
    refuse_unclassified()
    with without_limit(), transaction.atomic(), connection.cursor() as cursor:
        # Each company's employees are written once, after all companies, and not again for each.
        cursor.execute("ALTER TABLE customers_company DISABLE TRIGGER company_renamed")
        cursor.execute(f"TRUNCATE {', '.join(EMPTIED)}")
        rows = {table: invent(table, columns) for table, columns in INVENTED.items()}
        cursor.execute("ALTER TABLE customers_company ENABLE TRIGGER company_renamed")
    with without_limit(), connection.cursor() as cursor:
        cursor.execute("VACUUM (FULL, ANALYZE)")
    return rows


def refuse_unclassified() -> None:
    unknown = [
        f"{table}.{column}"
        for table, columns in columns_by_table().items()
        if table not in UNTOUCHED and table not in EMPTIED
        for column in sorted(columns - KEPT.get(table, set()) - INVENTED.get(table, {}).keys())
    ]
    if unknown:
        raise UnclassifiedError(
            f"Nobody has said whether these tell of a person: {', '.join(unknown)}. "
            "customers/personal_data.py must name them."
        )


def columns_by_table() -> dict[str, set[str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' GROUP BY table_name"
        )
        return {table: set(columns) for table, columns in cursor.fetchall()}


def invent(table: str, columns: dict[str, str]) -> int:
    assignments = [f"{column} = {unless_blank(column, sql)}" for column, sql in columns.items()]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {', '.join(assignments)}".format(**choices()))  # noqa: S608 - ours
        return int(cursor.rowcount)


def unless_blank(column: str, sql: str) -> str:
    return f"CASE WHEN {column}::text IN ('', '{{{{}}}}') THEN {column} ELSE {sql} END"


def choices() -> dict[str, str]:
    """SQL that takes one of the demo's values by the number of the row."""
    people = read("people")
    lists = {f"{column}s": [row[column] for row in people] for column in ("given_name", "family_name", "job_title")}
    lists |= {"notes": list(NOTES), "interests": [word for words in INTERESTS for word in words]}
    return {name: one_of(values) for name, values in lists.items()}


def one_of(values: list[str]) -> str:
    quoted = ", ".join(f"$${value}$$" for value in values)
    return f"(ARRAY[{quoted}])[1 + id % {len(values)}]"

"""Replacement of personal and company data by generated values, so that a copy of the data may leave the server.

Blank values and relations are preserved: the copy has the size and structure of the original.
"""

from django.db import connection, transaction

from core_apps.operations.database import without_limit
from customers.demo import INTERESTS, NOTES, read_rows

TRUNCATED_TABLES = (
    "accounts_apitoken",
    "accounts_passwordguesses",
    "api_idempotencykey",
    "django_admin_log",
    "django_session",
    "customers_calendarfeed",
    "customers_download",
    "customers_fileimport",
    "history_change",
    "history_rowchange",
    "messaging_campaign",
    "messaging_campaign_recipients",
    "messaging_consent",
    "messaging_message",
    "messaging_reply",
    "messaging_suppression",
    "otp_static_staticdevice",
    "otp_static_statictoken",
    "otp_totp_totpdevice",
    "webhooks_delivery",
    "webhooks_endpoint",
    "tasks_task",  # nor must the copy send anything
)
# Tables without personal data: exhibitions, permissions, Django's own.
UNCHANGED_TABLES = {
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
    "messaging_wording",
}
# SQL by column; {given_names} and the like pick a value of the demo by the row's id.
REPLACED_COLUMNS = {
    "accounts_user": {
        "email": "'user' || id || '@example.com'",
        "name": "'User ' || id",
        # Django's format of an unusable password; create a user with `createsuperuser`.
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
        # Reserved for fiction: https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama
        "phone": "'+44 1632 960' || lpad((id % 1000)::text, 3, '0')",
        "phone_e164": "'+441632960' || lpad((id % 1000)::text, 3, '0')",
        "job_title": "{job_titles}",
        "notes": "{notes}",
        # The files are not copied.
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
UNCHANGED_COLUMNS = {
    "accounts_user": {"id", "is_staff", "is_active", "is_superuser", "date_joined", "last_login", "time_zone"}
    | {"language", "daily_digest"},
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
    """customers/personal_data.py does not say whether a table or column has personal data."""


def replace_personal_data() -> dict[str, int]:
    """Replace the data in the whole database, and return the number of rows by table.

    VACUUM removes the old row versions, and the samples of their values in the statistics.

    Raises UnclassifiedError before anything is replaced.
    """
    check_classified()
    with without_limit(), transaction.atomic(), connection.cursor() as cursor:
        # The trigger would rewrite a company's customers, which are updated anyway.
        cursor.execute("ALTER TABLE customers_company DISABLE TRIGGER company_renamed")
        rows = {table: replace_columns(table, columns) for table, columns in REPLACED_COLUMNS.items()}
        cursor.execute("ALTER TABLE customers_company ENABLE TRIGGER company_renamed")
        # Last: the history has the replaced values.
        cursor.execute(f"TRUNCATE {', '.join(TRUNCATED_TABLES)}")
    with without_limit(), connection.cursor() as cursor:
        cursor.execute("VACUUM (FULL, ANALYZE)")
    return rows


def check_classified() -> None:
    unclassified = [
        f"{table}.{column}"
        for table, columns in columns_by_table().items()
        if table not in UNCHANGED_TABLES and table not in TRUNCATED_TABLES
        for column in sorted(columns - UNCHANGED_COLUMNS.get(table, set()) - REPLACED_COLUMNS.get(table, {}).keys())
    ]
    if unclassified:
        raise UnclassifiedError(
            f"Not classified: {', '.join(unclassified)}. Say in customers/personal_data.py whether it is personal data."
        )


def columns_by_table() -> dict[str, set[str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' GROUP BY table_name"
        )
        return {table: set(columns) for table, columns in cursor.fetchall()}


def replace_columns(table: str, columns: dict[str, str]) -> int:
    assignments = [f"{column} = {unless_blank(column, sql)}" for column, sql in columns.items()]
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {', '.join(assignments)}".format(**demo_values()))  # noqa: S608 - ours
        return int(cursor.rowcount)


def unless_blank(column: str, sql: str) -> str:
    return f"CASE WHEN {column}::text IN ('', '{{{{}}}}') THEN {column} ELSE {sql} END"


def demo_values() -> dict[str, str]:
    """Return, by name, SQL that picks one of the demo's values by the row's id."""
    people = read_rows("people")
    lists = {f"{column}s": [row[column] for row in people] for column in ("given_name", "family_name", "job_title")}
    lists |= {"notes": list(NOTES), "interests": [word for words in INTERESTS for word in words]}
    return {name: pick_by_id(values) for name, values in lists.items()}


def pick_by_id(values: list[str]) -> str:
    quoted = ", ".join(f"$${value}$$" for value in values)
    return f"(ARRAY[{quoted}])[1 + id % {len(values)}]"

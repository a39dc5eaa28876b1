from typing import Any

from django.db import migrations

TABLES = ("customers_company", "customers_exhibition", "customers_followup", "customers_tag", "customers_visit")
ROWS_AT_ONCE = 10_000


def fill(apps: Any, schema_editor: Any) -> None:
    """By short statements, each of which keeps a few writers waiting for a moment; a second try goes on."""
    for table in TABLES:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")  # noqa: S608 - named above
            (last,) = cursor.fetchone()
            for first in range(1, last + 1, ROWS_AT_ONCE):
                cursor.execute(
                    f"UPDATE {table} SET public_id = gen_random_uuid()"  # noqa: S608
                    " WHERE id BETWEEN %s AND %s AND public_id IS NULL",
                    [first, first + ROWS_AT_ONCE - 1],
                )


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("customers", "0012_public_ids"),)
    operations = (migrations.RunPython(fill, migrations.RunPython.noop),)

from typing import Any

from django.db import migrations

from core_apps.accounts.roles import grant
from core_apps.history.triggers import track

# Django's entries from before the history remain on its page, but not the names of people, who may be erased.
NAMES = """
    UPDATE django_admin_log SET object_repr = '' WHERE object_id IS NOT NULL
    AND content_type_id IN (SELECT id FROM django_content_type WHERE app_label = 'customers')
"""


def grant_archiving(apps: Any, schema_editor: Any) -> None:
    grant(apps, {role: ["archive_customer"] for role in ("Administrator", "Manager")})


class Migration(migrations.Migration):
    dependencies = (
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("customers", "0004_remove_follow_up_by_visit"),
        ("history", "0001_initial"),
    )

    operations = (
        migrations.AlterModelOptions(
            "customer",
            {
                "ordering": ("-created_at", "-pk"),
                "permissions": (
                    ("view_every_customer", "Can see the customers, visits and follow-ups of every exhibition"),
                    ("export_customer", "Can export customers"),
                    ("archive_customer", "Can archive customers and restore them"),
                ),
                "verbose_name": "customer",
                "verbose_name_plural": "customers",
            },
        ),
        migrations.RunPython(grant_archiving, migrations.RunPython.noop),
        migrations.RunSQL(NAMES, migrations.RunSQL.noop),
        track("customers_company"),
        track("customers_customer", subject="id"),
        track("customers_customer_tags", row="customer_id", subject="customer_id"),
        track("customers_exhibition"),
        track("customers_exhibition_staff", row="exhibition_id"),
        track("customers_followup", subject="customer_id"),
        track("customers_tag"),
        track("customers_visit", subject="customer_id"),
    )

from typing import Any

from django.db import migrations

from core_apps.accounts.roles import grant

VIEW = ("view_consent", "view_message")
ROLES = {
    "Administrator": (*VIEW, "add_consent", "view_wording", "add_wording"),
    "Manager": (*VIEW, "add_consent", "view_wording", "add_wording"),
    "Stand staff": (*VIEW, "add_consent"),
    "Read-only": VIEW,
}


def grant_messages(apps: Any, schema_editor: Any) -> None:
    grant(apps, ROLES)


class Migration(migrations.Migration):
    dependencies = (("customers", "0009_webhooks"), ("messaging", "0001_initial"))

    operations = (migrations.RunPython(grant_messages, migrations.RunPython.noop),)

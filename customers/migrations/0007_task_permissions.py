from typing import Any

from django.db import migrations

from core_apps.accounts.roles import grant


def grant_tasks(apps: Any, schema_editor: Any) -> None:
    """Administrators see background tasks, and repeat or cancel them."""
    grant(apps, {"Administrator": ["view_task", "change_task"]})


class Migration(migrations.Migration):
    dependencies = (("customers", "0006_export_permissions"), ("tasks", "0001_initial"))

    operations = (migrations.RunPython(grant_tasks, migrations.RunPython.noop),)

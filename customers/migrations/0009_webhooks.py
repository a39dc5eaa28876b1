from typing import Any

from django.db import migrations

from core_apps.accounts.roles import grant
from core_apps.webhooks.triggers import announce


def grant_webhooks(apps: Any, schema_editor: Any) -> None:
    endpoints = [f"{action}_endpoint" for action in ("add", "change", "delete", "view")]
    grant(apps, {"Administrator": [*endpoints, "view_delivery", "change_delivery"]})


class Migration(migrations.Migration):
    dependencies = (("customers", "0008_file_import"), ("webhooks", "0001_initial"))

    operations = (
        announce("customers_customer", "customer"),
        announce("customers_visit", "visit"),
        announce("customers_followup", "followup"),
        migrations.RunPython(grant_webhooks, migrations.RunPython.noop),
    )

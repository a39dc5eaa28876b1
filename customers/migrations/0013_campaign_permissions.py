from typing import Any

from django.db import migrations

from core_apps.accounts.roles import grant

CAMPAIGNS = ("view_campaign", "add_campaign", "change_campaign", "delete_campaign")


def grant_campaigns(apps: Any, schema_editor: Any) -> None:
    grant(apps, {"Administrator": CAMPAIGNS, "Manager": CAMPAIGNS})


class Migration(migrations.Migration):
    dependencies = (("customers", "0012_calendar_feed"), ("messaging", "0003_campaigns"))

    operations = (migrations.RunPython(grant_campaigns, migrations.RunPython.noop),)

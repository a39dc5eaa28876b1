from typing import Any

from django.db import migrations

from core_apps.accounts.roles import grant


def grant_exports(apps: Any, schema_editor: Any) -> None:
    """Whoever may export customers may export their visits and follow-ups."""
    roles = apps.get_model("auth", "Group").objects.filter(permissions__codename="export_customer")
    grant(apps, {role.name: ["export_visit", "export_followup"] for role in roles})


class Migration(migrations.Migration):
    dependencies = (("customers", "0005_history"),)

    operations = (
        migrations.AlterModelOptions(
            "visit",
            {
                "ordering": ("-visited_at", "-pk"),
                "permissions": (("export_visit", "Can export visits"),),
                "verbose_name": "visit",
                "verbose_name_plural": "visits",
            },
        ),
        migrations.AlterModelOptions(
            "followup",
            {
                "ordering": ("due_at", "pk"),
                "permissions": (("export_followup", "Can export follow-ups"),),
                "verbose_name": "follow-up",
                "verbose_name_plural": "follow-ups",
            },
        ),
        migrations.RunPython(grant_exports, migrations.RunPython.noop),
    )

"""Each role makes API tokens for itself, and revokes them; the admin shows everybody their own."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

ROLES = ("Administrator", "Manager", "Stand staff", "Read-only")
OWN = ("add_apitoken", "view_apitoken", "delete_apitoken")


def permit_tokens(apps: Any, schema_editor: Any) -> None:
    config = apps.get_app_config("accounts")
    # Django asks for it to tell whether the app has models; that of a migration does not know.
    config.models_module = getattr(config, "models_module", None) or True
    create_permissions(config, apps=apps, verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="accounts", codename__in=OWN
    )
    for role in apps.get_model("auth", "Group").objects.filter(name__in=ROLES):
        role.permissions.add(*permissions)


class Migration(migrations.Migration):
    dependencies = (
        ("customers", "0020_follow_up_open"),
        ("accounts", "0003_apitoken"),
    )
    operations = (migrations.RunPython(permit_tokens, migrations.RunPython.noop),)

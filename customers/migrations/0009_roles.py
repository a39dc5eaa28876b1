"""The four roles, as groups; whoever runs the site may change them afterwards."""

from typing import Any

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEW = (
    "view_company",
    "view_customer",
    "view_exhibition",
    "view_followup",
    "view_tag",
    "view_visit",
    "view_user",
)
STAND = (
    *("add_customer", "change_customer", "add_visit", "change_visit", "add_followup", "change_followup"),
    "add_company",
)
MANAGER = (
    *("change_company", "add_exhibition", "change_exhibition", "add_tag", "change_tag", "delete_tag"),
    *("delete_customer", "delete_company", "delete_visit", "delete_followup"),
    *("view_every_customer", "export_customer"),
)
ROLES = {
    "Administrator": (*VIEW, *STAND, *MANAGER, "delete_exhibition", "add_user", "change_user", "view_group"),
    "Manager": (*VIEW, *STAND, *MANAGER),
    "Stand staff": (*VIEW, *STAND),
    "Read-only": (*VIEW, "view_every_customer"),
}


def make_roles(apps: Any, schema_editor: Any) -> None:
    # Django makes permissions when all migrations are done, which is too late here.
    for label in ("accounts", "auth", "customers"):
        config = apps.get_app_config(label)
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0)
        config.models_module = None
    Group, Permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")  # noqa: N806
    for name, codenames in ROLES.items():
        role, _ = Group.objects.get_or_create(name=name)
        role.permissions.add(*Permission.objects.filter(codename__in=codenames))


class Migration(migrations.Migration):
    dependencies = (
        ("customers", "0008_company_by_search_text"),
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    )
    operations = (migrations.RunPython(make_roles, migrations.RunPython.noop),)

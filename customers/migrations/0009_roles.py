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
    make_permissions(apps)
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    keep_the_view(apps, Permission.objects.get(codename="view_every_customer"))
    for name, codenames in ROLES.items():
        role, _ = Group.objects.get_or_create(name=name)
        role.permissions.add(*Permission.objects.filter(codename__in=codenames))


def make_permissions(apps: Any) -> None:
    """Django makes them when all migrations are done, which is too late here."""
    for label in ("accounts", "auth", "customers"):
        config = apps.get_app_config(label)
        # Django asks for it to tell whether the app has models; that of a migration does not know.
        config.models_module = getattr(config, "models_module", None) or True
        create_permissions(config, apps=apps, verbosity=0)


def keep_the_view(apps: Any, every: Any) -> None:
    """Who saw customers until now saw those of every exhibition, and goes on to."""
    see = {"codename__in": ("view_customer", "change_customer"), "content_type__app_label": "customers"}
    seeing = apps.get_model("auth", "Permission").objects.filter(**see)
    for group in apps.get_model("auth", "Group").objects.filter(permissions__in=seeing).distinct():
        group.permissions.add(every)
    for user in apps.get_model("accounts", "User").objects.filter(user_permissions__in=seeing).distinct():
        user.user_permissions.add(every)


class Migration(migrations.Migration):
    dependencies = (
        ("customers", "0008_company_by_search_text"),
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    )
    operations = (migrations.RunPython(make_roles, migrations.RunPython.noop),)

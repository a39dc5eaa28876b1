"""Roles, which are Django's groups. Migrations create them; administrators may change them afterwards."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.management import create_permissions


def grant(apps: Any, roles: Mapping[str, Iterable[str]]) -> None:
    """Add permissions by codename to roles by name, for RunPython: `{"Manager": ["add_sponsor", "change_sponsor"]}`.

    Roles that do not exist are created.
    """
    create_missing_permissions(apps)
    groups, permissions = (apps.get_model("auth", name).objects for name in ("Group", "Permission"))
    for name, codenames in roles.items():
        role, _ = groups.get_or_create(name=name)
        role.permissions.add(*permissions.filter(codename__in=codenames))


def create_missing_permissions(apps: Any) -> None:
    """Create what Django only creates after all migrations."""
    for config in apps.get_app_configs():
        # create_permissions skips apps without it, which those of a migration lack.
        config.models_module = getattr(config, "models_module", None) or True
        create_permissions(config, apps=apps, verbosity=0)

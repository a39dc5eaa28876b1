"""An app that lives as long as a test, with the migrations that the test writes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection

NAME = "throwaway"
CONFIG = f"""
from django.apps import AppConfig

class Config(AppConfig):
    name = "{NAME}"
"""
MIGRATION = """
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
{before}
class Migration(migrations.Migration):
    dependencies = {dependencies}
    {attributes}
    operations = [{operations}]
"""
THING = """migrations.CreateModel("Thing", [
    ("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=20)),
])"""


class App:
    def __init__(self, package: Path) -> None:
        self.folder = package / "migrations"
        self.folder.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "apps.py").write_text(CONFIG)
        (self.folder / "__init__.py").touch()
        self.names: list[str] = []

    def add(self, name: str, *operations: str, attributes: str = "", before: str = "") -> str:
        """Write the next migration; return its name."""
        numbered = f"{len(self.names) + 1:04}_{name}"
        dependencies = [(NAME, self.names[-1])] if self.names else []
        text = MIGRATION.format(
            before=before, dependencies=dependencies, attributes=attributes, operations=", ".join(operations)
        )
        (self.folder / f"{numbered}.py").write_text(text)
        self.names.append(numbered)
        return numbered


@contextmanager
def app_in(directory: Path, settings: Any) -> Iterator[App]:
    """The app, installed, with a first migration that makes throwaway_thing; nothing of it is left after the block."""
    sys.path.insert(0, str(directory))
    try:
        made = App(directory / NAME)
        made.add("initial", THING)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, NAME]
        yield made
    finally:
        remove_tables()
        sys.path.remove(str(directory))
        for module in [module for module in sys.modules if module.split(".")[0] == NAME]:
            del sys.modules[module]


def remove_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS throwaway_thing, throwaway_other")
        cursor.execute("DELETE FROM django_migrations WHERE app = %s", [NAME])


def list_applied() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE app = %s ORDER BY name", [NAME])
        return [name for (name,) in cursor.fetchall()]


def migrate() -> None:
    call_command("migrate", NAME, verbosity=0)

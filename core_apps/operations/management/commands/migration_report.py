import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from core_apps.operations.migration_safety import breaks_previous_version


class Command(BaseCommand):
    help = """Prints, as one JSON object, the migrations of this code and of the database:

  {"customers.0001_initial": {"known": true, "applied": true, "breaks_previous_version": false}, ...}

known: this code has it. A migration that is applied but not known came with a newer version.
breaks_previous_version: the attribute of the class, set if the previous version does not work with it; null if the
  migration is not known. Run this in the newer version, and do not roll back past such a migration."""
    requires_system_checks = ()  # runs during a deploy

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # Keeps the line breaks of the help text.
        return super().create_parser(
            prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(build_report(), indent=2))


def build_report() -> dict[str, dict[str, bool | None]]:
    loader = MigrationLoader(connection)
    known, applied = loader.disk_migrations, loader.applied_migrations
    return {
        f"{app}.{name}": {
            "known": (app, name) in known,
            "applied": (app, name) in applied,
            "breaks_previous_version": (breaks_previous_version(known[app, name]) if (app, name) in known else None),
        }
        for app, name in sorted(known.keys() | applied.keys())
    }

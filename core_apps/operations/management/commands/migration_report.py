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

known: this code has it. What is applied and not known came with a newer version.
breaks_previous_version: the class says so, because it takes away what the version before uses; null where the
  migration is not known. Ask the newer version, and roll back past none of those."""
    requires_system_checks = ()  # it is asked in the middle of a deploy

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The shape above is to be read as it is written.
        return super().create_parser(
            prog_name, subcommand, formatter_class=argparse.RawDescriptionHelpFormatter, **kwargs
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(report(), indent=2))


def report() -> dict[str, dict[str, bool | None]]:
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

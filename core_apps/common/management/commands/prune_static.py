import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core_apps.common.static_versions import files_of_none, published_versions, split_kept

DAY = 24 * 60 * 60  # seconds


class Command(BaseCommand):
    help = """Deletes static files that no version has which is named here, is among the newest, or was replaced less
    than so many days ago."""
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", nargs="+", help="kept whatever its age: what runs, and what ran before")
        parser.add_argument("--keep", type=int, default=5, help="how many of the newest are kept (5)")
        parser.add_argument("--older-than-days", type=float, default=30, help="since a version was replaced (30)")

    def handle(self, *args: Any, **options: Any) -> None:
        root, named = Path(settings.STATIC_ROOT), set(options["version"])
        versions = published_versions(root)
        if lost := named - {version.name for version in versions}:
            raise CommandError(f"Nothing is deleted: which files are of {', '.join(sorted(lost))} is not known here.")
        before = time.time() - DAY * options["older_than_days"]
        kept, forgotten = split_kept(versions, named, options["keep"], before)
        files = files_of_none(root, kept, before)
        # The lists last: one that is interrupted finds the rest the next time.
        for path in [*files, *(version.path for version in forgotten)]:
            path.unlink()
        self.stdout.write(f"Deleted {len(files)} static files; {len(forgotten)} versions forgotten, {len(kept)} kept.")

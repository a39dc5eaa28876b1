import json
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.test import Client
from django.urls import reverse

from core_apps.media.management.commands.missing_files import find_missing


class Command(BaseCommand):
    help = """Checks a restored database: migrates it, compares the row count of each model with the manifest of the
backup, looks for each uploaded file, and opens each admin list as an administrator. Only for a database that nobody
else uses."""
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("manifest", type=Path, help="manifest.json of the backup")

    def handle(self, *args: Any, manifest: Path, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        rows = check_rows(json.loads(manifest.read_text())["tables"])
        # Those in a bucket are not in the backup.
        named, missing = (0, []) if settings.MEDIA_BUCKET else find_missing()
        if missing:
            raise CommandError(f"{len(missing)} uploaded files are missing, the first is {missing[0]}")
        pages = open_pages()
        self.stdout.write(
            f"the application counts {rows} rows, finds {named} files, and shows an administrator {pages} pages"
        )


def check_rows(tables: dict[str, dict[str, Any]]) -> int:
    """The number of rows of this project's models; migrations add rows to Django's own. Raises CommandError."""
    total = 0
    for model in apps.get_models():
        expected = tables.get(f"public.{model._meta.db_table}")
        if expected is None or model.__module__.startswith("django."):
            continue
        count = model._base_manager.count()
        if count != expected["rows"]:
            raise CommandError(f"{model._meta.label} has {count} rows; the manifest says {expected['rows']}")
        total += count
    return total


def open_pages() -> int:
    """Opens every admin list and the readiness probe; returns their number. Raises CommandError."""
    client = Client(raise_request_exception=False, SERVER_NAME="localhost")
    client.force_login(get_user_model().objects.create_superuser(email="drill@localhost.test", password=None))
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]
    pages = ["/api/v1/ready/", reverse("admin:index"), *lists]
    for page in pages:
        status = client.get(page, secure=True).status_code
        if status != 200:
            raise CommandError(f"{page} returned {status}")
    return len(pages)

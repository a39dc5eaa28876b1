from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core_apps.history.models import Change
from customers.importing import ImportFileError
from customers.importing.revert import find_revert, list_imports, revert_import

MAX_LISTED = 30


class Command(BaseCommand):
    help = "Revert an import, except rows that were changed since. Without an id, list the imports."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["id"] is None:
            self._list()
            return
        change = list_imports().filter(pk=options["id"]).first()
        if change is None:
            raise CommandError(f"There is no import {options['id']}. Without an id, this command lists them.")
        if earlier := find_revert(change):
            self.stdout.write(f"Already reverted at {format_time(earlier)}. Nothing was changed.")
            return
        self._revert(change)

    def _list(self) -> None:
        self.stdout.write(f"{'id':>8}  {'when':16}  {'rows':>8}  what")
        for change in list_imports()[:MAX_LISTED]:
            note = ", reverted" if find_revert(change) else ""
            self.stdout.write(f"{change.pk:>8}  {format_time(change)}  {change.count:>8,}  {change.by}{note}")  # type: ignore[attr-defined]

    def _revert(self, change: Change) -> None:
        try:
            outcome = revert_import(change)
        except ImportFileError as error:
            raise CommandError(str(error)) from None
        for line in outcome.skipped[:MAX_LISTED]:
            self.stderr.write(f"Left as it is, changed or used since: {line}")
        if len(outcome.skipped) > MAX_LISTED:
            self.stderr.write(f"… and {len(outcome.skipped) - MAX_LISTED:,} more.")
        self.stdout.write(
            f"Restored {outcome.restored:,}, deleted {outcome.deleted:,}, left as they are {len(outcome.skipped):,}."
        )


def format_time(change: Change) -> str:
    return f"{timezone.localtime(change.at):%Y-%m-%d %H:%M}"

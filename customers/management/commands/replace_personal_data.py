from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from customers.personal_data import UnclassifiedError, replace_personal_data


class Command(BaseCommand):
    help = "Replace all personal data in a copy of the database; requires DEBUG."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("DEBUG is off. Run this command only on a development copy. Nothing was replaced.")
        try:
            rows_by_table = replace_personal_data()
        except UnclassifiedError as error:
            raise CommandError(str(error)) from error
        for table, rows in rows_by_table.items():
            self.stdout.write(f"{table}: {rows} rows")

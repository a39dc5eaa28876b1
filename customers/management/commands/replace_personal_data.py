from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from customers.personal_data import UnclassifiedError, replace_personal_data


class Command(BaseCommand):
    help = "Replaces everything that tells of a person in a copy of real data; rejected where DEBUG is off."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError(
                "This is for a copy that somebody develops with. DEBUG is off here, so nothing was replaced."
            )
        try:
            replaced = replace_personal_data()
        except UnclassifiedError as error:
            raise CommandError(str(error)) from error
        for table, rows in replaced.items():
            self.stdout.write(f"{table}: {rows} rows")

import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from core_apps.operations.migration_safety import (
    asks_for_another_try,
    drop_unfinished_indexes,
    limits_of_migrations,
    one_at_a_time,
)

PATIENCE = 120.0  # seconds
LONGEST_PAUSE = 10.0  # seconds


class Command(migrate.Command):
    help = f"""{migrate.Command.help} Safe while the site serves: two at once apply once; one that finds a lock taken
    steps back, so that readers do not queue behind it, and tries again for {PATIENCE:.0f} s."""

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with limits_of_migrations(connection), one_at_a_time(connection, self.say):
            self.migrate_patiently(connection, *args, **options)

    def migrate_patiently(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        deadline, pause = time.monotonic() + PATIENCE, 1.0
        while True:
            try:
                drop_unfinished_indexes(connection, self.say)
                super().handle(*args, **options)
                break
            except OperationalError as error:
                if not asks_for_another_try(error):
                    raise
            if time.monotonic() + pause > deadline:
                raise CommandError(
                    f"The migration got no lock within {PATIENCE:.0f} s and is not applied; those before it are."
                    " docs/troubleshooting.md has the query that shows which session is in the way."
                )
            self.say(f"The migration waits for a lock. Next try in {pause:.0f} s.")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def say(self, line: str) -> None:
        # At every verbosity, or somebody would wonder why nothing happens; it continues Django's «Applying …».
        self.stdout.write(f" {line}")
        self.stdout.flush()

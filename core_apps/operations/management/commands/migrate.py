import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from core_apps.operations.migration_safety import (
    drop_invalid_indexes,
    is_retryable,
    migration_lock,
    migration_timeouts,
)

RETRY_SECONDS = 120.0  # seconds
MAX_PAUSE = 10.0  # seconds


class Command(migrate.Command):
    help = f"""{migrate.Command.help} Safe on a live site: concurrent runs wait for each other; a migration that gets no
    lock releases its place, so that readers do not queue behind it, and retries for {RETRY_SECONDS:.0f} s."""

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with migration_timeouts(connection), migration_lock(connection, self.say):
            self.migrate_with_retries(connection, *args, **options)

    def migrate_with_retries(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        deadline, pause = time.monotonic() + RETRY_SECONDS, 1.0
        while True:
            try:
                drop_invalid_indexes(connection, self.say)
                super().handle(*args, **options)
                break
            except OperationalError as error:
                if not is_retryable(error):
                    raise
            if time.monotonic() + pause > deadline:
                raise CommandError(
                    f"The migration got no lock within {RETRY_SECONDS:.0f} s and was not applied; earlier ones were."
                    " docs/troubleshooting.md has the query that shows the blocking session."
                )
            self.say(f"Could not get a lock. Next try in {pause:.0f} s.")
            time.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)

    def say(self, line: str) -> None:
        # At every verbosity, to explain the delay; it continues the line "Applying …".
        self.stdout.write(f" {line}")
        self.stdout.flush()

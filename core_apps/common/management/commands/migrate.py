import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration

from core_apps.common.migration_safety import (
    Witness,
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

    at: Migration | None = None

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with limits_of_migrations(connection), one_at_a_time(connection, self.say):
            self.migrate_patiently(connection, *args, **options)

    def migrate_patiently(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        started, pause = time.monotonic(), 1.0
        while True:
            with Witness(connection, self.say) as witness:
                try:
                    drop_unfinished_indexes(connection, self.say)
                    super().handle(*args, **options)
                    break
                except OperationalError as error:
                    if not asks_for_another_try(error):
                        raise
            waited = time.monotonic() - started
            if waited + pause > PATIENCE:
                raise CommandError(self.surrender(witness, waited))
            self.say(f"{self.name()} waits for {witness.description()}. Next try in {pause:.0f} s.")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:
        if action in ("apply_start", "unapply_start"):
            self.at = migration
        elif action in ("apply_success", "unapply_success"):
            self.at = None
        super().migration_progress_callback(action, migration, fake)

    def say(self, line: str) -> None:
        # At every verbosity: it is said only where somebody would wonder why nothing happens. Django has left the
        # line open that names the migration.
        self.stdout.write(f"\n{line}" if self.at and self.verbosity else line)
        self.stdout.flush()

    def name(self) -> str:
        return str(self.at) if self.at else "migrate"

    def surrender(self, witness: Witness, waited: float) -> str:
        return (
            f"{self.name()} got no lock within {waited:.0f} s. It is not applied; those before it are.\n"
            f"In the way: {witness.description()}.\n"
            "Wait for the end of that transaction, or end it: SELECT pg_terminate_backend(PID). Then migrate again."
        )

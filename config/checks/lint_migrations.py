"""Refuses migrations that break the previous version, which still serves while they are applied.

Extends django-migration-linter, which finds most problems in the SQL, by those it misses, by the names of tables
and columns, and by the mark of contracting migrations (expand/contract), which may break the previous version.
"""

import re
import sys
from collections.abc import Iterable
from dataclasses import replace

import django
import sqlparse
from django.db.migrations import Migration
from django_migration_linter.migration_linter import MigrationLinter
from django_migration_linter.sql_analyser.base import Issue
from django_migration_linter.sql_analyser.postgresql import PostgresqlAnalyser

from core_apps.operations.migration_safety import breaks_previous_version

BREAKING_CHANGES = {
    "DROP_COLUMN": "drops a column, which the running version still reads and writes",
    "DROP_TABLE": "drops a table, which the running version still uses",
    "RENAME_COLUMN": "renames a column, which the running version uses by its old name",
    "RENAME_TABLE": "renames a table, which the running version uses by its old name",
    "ALTER_COLUMN": "changes a column's type, and blocks the table while it is rewritten",
    "NOT_NULL": "forbids NULL, which the running version may write",
    "ADD_UNIQUE": "forbids duplicates, which the running version may write",
}
REQUIRED_COLUMN = "adds a required column, which the running version does not fill: give it a db_default"
BLOCKING = (
    "blocks all writes while it builds an index: use AddIndexConcurrently, alone in a migration with atomic = False;"
    " add a foreign key or unique field without its index first"
)
# Of django-otp: they change tables that a migration before them creates in the same deploy.
TOGETHER = ("0002_throttling", "0002_auto_20190420_0723")
CHECKED_HERE = {"NOT_NULL", "ADD_UNIQUE", "CREATE_INDEX", "CREATE_INDEX_EXCLUSIVE"}

ALTERED = re.compile(r'ALTER TABLE (?:IF EXISTS )?(?:ONLY )?"?(\w+)')
NEW_COLUMN = re.compile(r'ADD COLUMN (?:IF NOT EXISTS )?"?(?P<column>\w+)"? (?P<definition>.*?)(?=, ADD |;|$)')
SET_NOT_NULL = re.compile(r'ALTER COLUMN "?(?P<column>\w+)"? SET NOT NULL')
UNIQUE = re.compile(r"ADD CONSTRAINT \S+ UNIQUE|CREATE UNIQUE INDEX")
INDEX = re.compile(r'CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?.*?\bON (?:ONLY )?"?(\w+)')
CREATED = re.compile(r'CREATE TABLE (?:IF NOT EXISTS )?"?(\w+)"?')

REFUSED = """
Refused: during a deploy the previous version uses the new schema. Add first, and remove in a later version by a
migration that sets `breaks_previous_version = True` and says why: CONTRIBUTING.md, Rename or remove a column."""


class Analyser(PostgresqlAnalyser):
    def __init__(self, exclude_migration_tests: Iterable[str] | None) -> None:
        super().__init__(exclude_migration_tests)
        self.migration_checks = [
            replace(check, message=BREAKING_CHANGES.get(check.code, check.message))
            for check in self.migration_checks
            if check.code not in CHECKED_HERE
        ]

    def analyse(self, sql_statements: list[str]) -> None:
        """Add the issues found here, except those of tables that the migration itself creates."""
        super().analyse(sql_statements)
        script = "\n".join(sql_statements)
        new = CREATED.findall(script)
        for issue in [
            issue for sql in sql_statements for issue in [*find_constraints(sql, script), *find_indexes(sql)]
        ]:
            if issue.table not in new:
                (self.ignored if issue.code in self.exclude_migration_tests else self.errors).append(issue)


def find_constraints(sql: str, script: str) -> Iterable[Issue]:
    """Yield the constraints that a statement adds and the running version does not meet."""
    for table in ALTERED.findall(sql):
        for column, definition in NEW_COLUMN.findall(sql):
            dropped = f'ALTER TABLE "{table}" ALTER COLUMN "{column}" DROP DEFAULT' in script
            if "NOT NULL" in definition and (dropped or not re.search(r"\b(DEFAULT|GENERATED)\b", definition)):
                yield Issue("NOT_NULL", REQUIRED_COLUMN, table, column)
            if re.search(r"\bUNIQUE\b", definition):
                yield Issue("CREATE_INDEX", BLOCKING, table, column)
        for column in SET_NOT_NULL.findall(sql):
            yield Issue("NOT_NULL", BREAKING_CHANGES["NOT_NULL"], table, column)
        if UNIQUE.search(sql):
            yield Issue("ADD_UNIQUE", BREAKING_CHANGES["ADD_UNIQUE"], table)


def find_indexes(sql: str) -> Iterable[Issue]:
    for concurrently, table in INDEX.findall(sql):
        if not concurrently:
            yield Issue("CREATE_INDEX", BLOCKING, table)
        if UNIQUE.search(sql):
            yield Issue("ADD_UNIQUE", BREAKING_CHANGES["ADD_UNIQUE"], table)


class Linter(MigrationLinter):
    def __init__(self) -> None:
        # Without its cache, which ignores changes of these rules.
        super().__init__(no_cache=True, ignore_name=TOGETHER)
        self.sql_analyser_class = Analyser

    def lint_migration(self, migration: Migration) -> None:
        self.exclude_migration_tests = list(BREAKING_CHANGES) if breaks_previous_version(migration) else []
        super().lint_migration(migration)

    def get_sql(self, app_label: str, migration_name: str) -> list[str]:
        """Return whole statements, each on one line."""
        text = "\n".join(super().get_sql(app_label, migration_name))
        text = sqlparse.format(text, strip_comments=True, keyword_case="upper")
        return [" ".join(statement.split()) for statement in sqlparse.split(text)]

    def analyse_data_migration(self, migration: Migration) -> tuple[list[Issue], list[Issue], list[Issue]]:
        errors, ignored, warnings = super().analyse_data_migration(migration)
        if not migration.atomic and len(migration.operations) > 1:
            message = "has several operations and atomic = False: if it fails between them, it cannot be repeated"
            errors.append(Issue("SEVERAL_OPERATIONS", message))
        return errors, ignored, warnings

    def lint_runsql(self, runsql: object) -> tuple[list[Issue], list[Issue], list[Issue]]:
        """Find nothing: get_sql contains the forward SQL, and deploys never run the backward SQL."""
        return [], [], []


def main() -> None:
    django.setup()
    linter = Linter()
    linter.lint_all_migrations()
    if linter.has_errors:
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()

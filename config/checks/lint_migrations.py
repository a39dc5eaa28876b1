"""Refuses a migration that breaks the version which still serves while it is applied.

django-migration-linter finds most of it in the SQL. Here are what it misses, with the table's and the column's
name, and the mark of a second step of expand/contract, which may break the version before its own.
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

IN_TWO_STEPS = {
    "DROP_COLUMN": "drops a column, which the running version still reads and writes",
    "DROP_TABLE": "drops a table, which the running version still uses",
    "RENAME_COLUMN": "renames a column, which the running version knows by its old name",
    "RENAME_TABLE": "renames a table, which the running version knows by its old name",
    "ALTER_COLUMN": "changes a column's type, and keeps everybody waiting while it is rewritten",
    "NOT_NULL": "forbids NULL, which the running version may write",
    "ADD_UNIQUE": "forbids duplicates, which the running version may write",
}
NOT_FILLED = "adds a column that must be filled, and the running version does not fill it: give it a db_default"
BLOCKING = (
    "builds an index while all writers wait: use AddIndexConcurrently, alone in a migration with atomic = False;"
    " a foreign key or unique field comes without its index before"
)
SEEN_HERE = {"NOT_NULL", "ADD_UNIQUE", "CREATE_INDEX", "CREATE_INDEX_EXCLUSIVE"}

ALTERED = re.compile(r'ALTER TABLE (?:IF EXISTS )?(?:ONLY )?"?(\w+)')
NEW_COLUMN = re.compile(r'ADD COLUMN (?:IF NOT EXISTS )?"?(?P<column>\w+)"? (?P<definition>.*?)(?=, ADD |;|$)')
SET_NOT_NULL = re.compile(r'ALTER COLUMN "?(?P<column>\w+)"? SET NOT NULL')
UNIQUE = re.compile(r"ADD CONSTRAINT \S+ UNIQUE|CREATE UNIQUE INDEX")
INDEX = re.compile(r'CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?.*?\bON (?:ONLY )?"?(\w+)')
CREATED = re.compile(r'CREATE TABLE (?:IF NOT EXISTS )?"?(\w+)"?')

REFUSED = """
Refused: while a version is replaced, the one before it works on the new schema. Add first, and take away in a later
version by a migration that says `breaks_previous_version = True` and why: docs/operations.md, Migrations."""


class Analyser(PostgresqlAnalyser):
    def __init__(self, exclude_migration_tests: Iterable[str] | None) -> None:
        super().__init__(exclude_migration_tests)
        self.migration_checks = [
            replace(check, message=IN_TWO_STEPS.get(check.code, check.message))
            for check in self.migration_checks
            if check.code not in SEEN_HERE
        ]

    def analyse(self, sql_statements: list[str]) -> None:
        super().analyse(sql_statements)
        script = "\n".join(sql_statements)
        new = CREATED.findall(script)
        for issue in [issue for sql in sql_statements for issue in [*alterations(sql, script), *indexes(sql)]]:
            if issue.table not in new:
                (self.ignored if issue.code in self.exclude_migration_tests else self.errors).append(issue)


def alterations(sql: str, script: str) -> Iterable[Issue]:
    """What a statement demands of a table's rows, and the running version does not know of."""
    for table in ALTERED.findall(sql):
        for column, definition in NEW_COLUMN.findall(sql):
            dropped = f'ALTER TABLE "{table}" ALTER COLUMN "{column}" DROP DEFAULT' in script
            if "NOT NULL" in definition and (dropped or not re.search(r"\b(DEFAULT|GENERATED)\b", definition)):
                yield Issue("NOT_NULL", NOT_FILLED, table, column)
            if re.search(r"\bUNIQUE\b", definition):
                yield Issue("CREATE_INDEX", BLOCKING, table, column)
        for column in SET_NOT_NULL.findall(sql):
            yield Issue("NOT_NULL", IN_TWO_STEPS["NOT_NULL"], table, column)
        if UNIQUE.search(sql):
            yield Issue("ADD_UNIQUE", IN_TWO_STEPS["ADD_UNIQUE"], table)


def indexes(sql: str) -> Iterable[Issue]:
    for concurrently, table in INDEX.findall(sql):
        if not concurrently:
            yield Issue("CREATE_INDEX", BLOCKING, table)
        if UNIQUE.search(sql):
            yield Issue("ADD_UNIQUE", IN_TWO_STEPS["ADD_UNIQUE"], table)


class Linter(MigrationLinter):
    def __init__(self) -> None:
        # Without its cache, which knows whether a migration has changed, and not whether these rules have.
        super().__init__(no_cache=True)
        self.sql_analyser_class = Analyser

    def lint_migration(self, migration: Migration) -> None:
        self.exclude_migration_tests = list(IN_TWO_STEPS) if breaks_previous_version(migration) else []
        super().lint_migration(migration)

    def get_sql(self, app_label: str, migration_name: str) -> list[str]:
        """Whole statements, each on one line, however they were written."""
        text = "\n".join(super().get_sql(app_label, migration_name))
        text = sqlparse.format(text, strip_comments=True, keyword_case="upper")
        return [" ".join(statement.split()) for statement in sqlparse.split(text)]

    def analyse_data_migration(self, migration: Migration) -> tuple[list[Issue], list[Issue], list[Issue]]:
        errors, ignored, warnings = super().analyse_data_migration(migration)
        if not migration.atomic and len(migration.operations) > 1:
            message = "has several operations and atomic = False: a try that fails between them cannot be repeated"
            errors.append(Issue("SEVERAL_OPERATIONS", message))
        return errors, ignored, warnings

    def lint_runsql(self, runsql: object) -> tuple[list[Issue], list[Issue], list[Issue]]:
        """Nothing: forwards, it is among the statements of get_sql; backwards, no deploy runs it."""
        return [], [], []


def main() -> None:
    django.setup()
    linter = Linter()
    linter.lint_all_migrations()
    if linter.has_errors:
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()

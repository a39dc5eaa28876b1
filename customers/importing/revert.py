"""Reverts an import: changed rows get their earlier values, added rows are deleted."""

# ruff: noqa: S608 - only names of our models are formatted into the statements; values are parameters

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from core_apps.history.cause import Source, caused_by
from core_apps.history.models import Change
from core_apps.operations.database import without_limit
from customers.importing.recordset import execute, query
from customers.importing.service import exclusive_transaction
from customers.importing.table import quote_columns
from customers.models import Company, Customer

# Customers first: their companies can only be deleted when nobody works there.
MODELS = (Customer, Company)
NOT_RESTORED = {"id", "search_text", "updated_at"}
# One row for each row of the import. The earliest of several values counts, as does the addition of a row that the same
# file then changed. Whatever happened to it since is in the history: a visit of a customer too.
TARGETS = """
    CREATE TEMP TABLE import_target ON COMMIT DROP AS
    SELECT entry."table", entry."row" AS id, bool_or(entry.action = 'I') AS added,
        jsonb_object_agg(pair.key, pair.value ORDER BY entry.id DESC) FILTER (WHERE pair.key IS NOT NULL) AS before,
        EXISTS (
            SELECT FROM history_rowchange later WHERE later."row" = entry."row" AND later."table" = entry."table"
            AND later.id > max(entry.id)
        ) OR bool_or(entry.action = 'I') AND EXISTS (
            SELECT FROM history_rowchange later WHERE later.subject = entry.subject AND later.id > max(entry.id)
        ) AS changed_since
    FROM history_rowchange entry LEFT JOIN LATERAL jsonb_each(entry.before) AS pair ON true
    WHERE entry.change_id = %s GROUP BY entry."table", entry."row", entry.subject
"""
EMPLOYED = "EXISTS (SELECT FROM customers_customer WHERE company_id = t.id)"


@dataclass(frozen=True)
class RevertResult:
    restored: int
    deleted: int
    skipped: Sequence[str]  # what was changed or used since


def list_imports() -> QuerySet[Change]:
    """Return the imports that changed something, the newest first, with the number of rows as `count`."""
    imports = Change.objects.filter(source=Source.IMPORT).select_related("user")
    return imports.annotate(count=Count("rows__row", distinct=True)).order_by("-pk")


def find_revert(of: Change) -> Change | None:
    return Change.objects.filter(source=Source.REVERT, detail__startswith=f"{of.pk} ").first()


def revert_import(of: Change) -> RevertResult:
    """Revert the import in one transaction, except rows that were changed since.

    Raises ImportFileError if the database refuses it; then nothing is written.
    """
    with without_limit(), exclusive_transaction(), caused_by(Source.REVERT, f"{of.pk} {of.detail}"):
        for model in MODELS:
            lock_rows(model._meta.db_table, of.pk)
        execute(TARGETS, of.pk)
        skip_lost_employers()
        restored = sum(restore(model) for model in MODELS)
        deleted = sum(delete(model) for model in MODELS)
        return RevertResult(restored, deleted, [line for model in MODELS for line in list_skipped(model)])


def lock_rows(table: str, change: int) -> None:
    """Nobody changes the rows, or adds a visit, while it is checked what happened since."""
    rows = 'SELECT "row" FROM history_rowchange WHERE change_id = %s AND "table" = %s'
    execute(f"SELECT id FROM {table} WHERE id IN ({rows}) ORDER BY id FOR UPDATE", change, table)


def skip_lost_employers() -> None:
    """A customer whose earlier company has been deleted stays as it is."""
    execute(
        """UPDATE import_target SET changed_since = true
        WHERE "table" = %s AND before->>'company_id' IS NOT NULL
        AND NOT EXISTS (SELECT FROM customers_company WHERE id = (before->>'company_id')::bigint)""",
        Customer._meta.db_table,
    )


def restore(model: type[Customer] | type[Company]) -> int:
    table = model._meta.db_table
    names = {str(field.column) for field in model._meta.concrete_fields} - NOT_RESTORED
    columns = quote_columns(sorted(names))
    return execute(
        f"UPDATE {table} t SET updated_at = statement_timestamp(),"
        f" ({columns}) = (SELECT {columns} FROM jsonb_populate_record(t, target.before))"
        ' FROM import_target target WHERE target."table" = %s AND target.id = t.id'
        " AND NOT target.added AND NOT target.changed_since",
        table,
    )


def delete(model: type[Customer] | type[Company]) -> int:
    if model is Company:
        execute(
            f'UPDATE import_target t SET changed_since = true WHERE "table" = %s AND added AND {EMPLOYED}',
            model._meta.db_table,
        )
    return execute(
        f"DELETE FROM {model._meta.db_table} t USING import_target target"
        ' WHERE target."table" = %s AND target.id = t.id AND target.added AND NOT target.changed_since',
        model._meta.db_table,
    )


def list_skipped(model: type[Customer] | type[Company]) -> list[str]:
    rows = query('SELECT id FROM import_target WHERE "table" = %s AND changed_since ORDER BY id', model._meta.db_table)
    names = {row.pk: str(row) for row in model._default_manager.filter(pk__in=[key for (key,) in rows])}
    deleted = _("deleted since")
    return [f"{model._meta.verbose_name} {key}: {names.get(key, deleted)}" for (key,) in rows]

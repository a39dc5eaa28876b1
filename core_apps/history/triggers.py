"""Triggers that write the history of a table.

Each runs once for a statement. All tables have one history: a new field needs no second migration, as the event models
of django-pghistory do, and a page, the erasure of a person and taking back an import are each one query.
"""

from collections.abc import Sequence

from django.db.migrations import RunSQL

TRIGGER = """
CREATE TRIGGER history_{name} AFTER {event} ON {table} REFERENCING {rows}
    FOR EACH STATEMENT EXECUTE FUNCTION {function}({arguments});
"""
EVENTS = {
    "insert": ("NEW TABLE AS new_rows", "history_write"),
    "update": ("OLD TABLE AS old_rows NEW TABLE AS new_rows", "history_write_update"),
    "delete": ("OLD TABLE AS old_rows", "history_write"),
}


def track(
    table: str, *, row: str = "id", subject: str = "", ignored: Sequence[str] = ("updated_at", "search_text")
) -> RunSQL:
    """A migration's operation: from then on the table has a history.

    `row` is the column with the id of the row whose page shows it; of a many-to-many table, the key of its owner.
    `subject` is the column with the id of the person whom rows are about: deleting the person removes the values.
    A change of nothing but the `ignored` columns is not recorded.
    """
    arguments = ", ".join(f"'{argument}'" for argument in (row, subject, *ignored))
    create = "".join(
        TRIGGER.format(name=event, event=event.upper(), table=table, rows=rows, function=function, arguments=arguments)
        for event, (rows, function) in EVENTS.items()
    )
    return RunSQL(create, "".join(f"DROP TRIGGER history_{event} ON {table};" for event in EVENTS))

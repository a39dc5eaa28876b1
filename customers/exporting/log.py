"""Who exported what, in the log of the admin; and when somebody last did so completely."""

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Model
from django.utils import timezone

from customers.exporting.formats import FORMATS, Format
from customers.exporting.tables import TABLES, Row

logger = logging.getLogger(__name__)

COMPLETE, ABORTED = "complete", "aborted"
# Of the connections of this role, which are those of the application. A row is as old as the statement that wrote it,
# but seen only when the transaction has ended.
OLDEST_WRITER = """
    SELECT coalesce(max(clock_timestamp() - xact_start), '0') FROM pg_stat_activity
    WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""


def create_log_entry(user: Any, model: type[Model], kind: Format, chosen: str, since: datetime | None) -> LogEntry:
    """Write the entry before the first row leaves, so that an export that breaks off is known too.

    `chosen` are the filters of the list. The entry's time is one from which the next export continues without a gap.
    """
    newer = f" since {since:%Y-%m-%d %H:%M:%S} UTC" if since else ""
    return LogEntry.objects.create(
        user_id=user.pk,
        action_time=timezone.now() - get_age_of_oldest_writer(),
        content_type=ContentType.objects.get_for_model(model),
        object_repr=f"{TABLES[model].name}.{kind.extension}",
        action_flag=CHANGE,
        change_message=f"Export as {kind.label} ({chosen}){newer}",
    )


def get_age_of_oldest_writer() -> timedelta:
    with connection.cursor() as cursor:
        cursor.execute(OLDEST_WRITER)
        age: timedelta = cursor.fetchone()[0]
    return age


def find_last_export(user: Any, model: type[Model], chosen: str) -> tuple[Format, datetime] | None:
    """Return the format and the time of the user's last complete export of the list with these filters."""
    entries = LogEntry.objects.filter(
        user_id=user.pk,
        content_type__app_label=model._meta.app_label,
        content_type__model=model._meta.model_name,
        change_message__startswith="Export as ",
        change_message__contains=f" ({chosen})",
        change_message__endswith=f", {COMPLETE}",
    )
    entry = entries.order_by("-action_time", "-pk").first()
    if entry is None:
        return None
    kind = next(kind for kind in FORMATS.values() if entry.change_message.startswith(f"Export as {kind.label} ("))
    return kind, entry.action_time


def log_outcome(batches: Iterator[list[Row]], entry: LogEntry) -> Iterator[list[Row]]:
    """Yield the batches, then add the number of rows and the outcome to the log entry."""
    rows, outcome = 0, ABORTED
    try:
        with closing(batches):  # type: ignore[type-var]
            for batch in batches:
                yield batch
                rows += len(batch)
        outcome = COMPLETE
    finally:
        # Without the filter: searches contain personal data.
        logger.info("User %s exported %s: %s rows, %s", entry.user_id, entry.object_repr, rows, outcome)
        entry.change_message += f": {rows:,} rows, {outcome}"
        entry.save(update_fields=["change_message"])

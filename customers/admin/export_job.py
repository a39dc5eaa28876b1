"""The content of an export, and the task that makes a large one."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import IO, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import resolve, reverse
from django.utils.translation import gettext as _

from core_apps.tasks.kinds import RejectError, RetryError, task
from core_apps.tasks.models import Queue, Task
from customers.downloads import DELAYS, make_file, record_failure
from customers.exporting import (
    FORMATS,
    TABLES,
    ExportPlace,
    Format,
    Row,
    TooManyExportsError,
    create_log_entry,
    fetch_batches,
    log_outcome,
)
from customers.models import Download

Progress = Callable[[int], None]
MODELS = {model._meta.model_name: model for model in TABLES}


def build_content(
    request: HttpRequest, rows: QuerySet[Any], kind: Format, since: datetime | None, progress: Progress = lambda _: None
) -> Iterator[bytes]:
    """Write the log entry of the export, and return its content. `progress` is called with the number of rows."""
    entry = create_log_entry(request.user, rows.model, kind, describe_filters(request.GET), since)
    batches = count_rows(log_outcome(fetch_batches(rows), entry), progress)
    return kind.write(batches, TABLES[rows.model].headings)


def count_rows(batches: Iterator[list[Row]], progress: Progress) -> Iterator[list[Row]]:
    done = 0
    with closing(batches):  # type: ignore[type-var]
        for batch in batches:
            yield batch
            done += len(batch)
            progress(done)


def describe_filters(parameters: QueryDict) -> str:
    """Return the filters and the search as they are in the log."""
    pairs = [(name, value) for name, values in parameters.lists() for value in values]
    return urlencode(sorted(pair for pair in pairs if pair[0] not in (PAGE_VAR, ORDER_VAR))) or "everything"


@task("customers.export", Queue.PROGRESS, delays=DELAYS, on_failure=record_failure)
def export_in_background(
    task: Task, *, job: str, language: str, model: str, query: str, file_format: str, since: str | None
) -> None:
    def write(download: Download, file: IO[bytes], progress: Progress) -> None:
        list_admin: Any = admin.site.get_model_admin(MODELS[model])
        request = build_request(download.owner, list_admin, query)
        rows = find_rows(request, list_admin)
        moment = datetime.fromisoformat(since) if since else None
        if moment:
            rows = rows.filter(updated_at__gte=moment)
        download.update(total=rows.order_by().count())
        with reserve_place(download):
            content: Any = build_content(request, rows, FORMATS[file_format], moment, progress)
            with closing(content):
                file.writelines(content)

    make_file(task, job, language, write)


def build_request(user: Any, list_admin: Any, query: str) -> HttpRequest:
    """Return the request of the user for the export, from which the list derives its rows."""
    request = HttpRequest()
    request.method, request.user, request.GET = "GET", user, QueryDict(query)
    request.path = reverse(f"admin:{list_admin.export_name}")
    request.resolver_match = resolve(request.path)
    return request


def find_rows(request: HttpRequest, list_admin: Any) -> QuerySet[Any]:
    """Return the rows that the user may export now. Raises RejectError."""
    if not list_admin.has_export_permission(request):
        raise RejectError(_("You may not export this list."))
    try:
        rows: QuerySet[Any] = list_admin.get_export_rows(request)
    except IncorrectLookupParameters:
        raise RejectError(_("Unknown filter.")) from None
    return rows


@contextmanager
def reserve_place(download: Download) -> Iterator[None]:
    """Hold one of the few places for exports. Raises RetryError if there is none."""
    try:
        place = ExportPlace(download.owner_id)
    except TooManyExportsError:
        raise RetryError(_("Too many exports are running at this moment.")) from None
    try:
        yield
    finally:
        place.release()

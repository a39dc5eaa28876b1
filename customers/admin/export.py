"""Export of the customer list, with its filters and search, for users with the permission."""

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from customers.exporting import FORMATS, Format, Row, fetch_batches
from customers.models import Customer

logger = logging.getLogger(__name__)

EXPORT, FORMAT_VAR = "customers_customer_export", "format"


class ExportMixin:
    """For the list of customers; admin/customers/customer/change_list_object_tools.html has the links."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_GET(self.export_view))  # type: ignore[attr-defined]
        return [path("export/", view, name=EXPORT), *super().get_urls()]  # type: ignore[misc]

    def has_export_permission(self, request: HttpRequest) -> bool:
        may_view: bool = self.has_view_permission(request)  # type: ignore[attr-defined]
        return may_view and request.user.has_perm("customers.export_customer")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, extra_context)  # type: ignore[misc]
        if isinstance(response, TemplateResponse) and self.has_export_permission(request):
            response.context_data = (response.context_data or {}) | {"exports": build_links(request)}
        return response

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """For an export, skip the page and the count, which would delay the first row."""
        changelist: type[ChangeList] = super().get_changelist(request, **options)  # type: ignore[misc]
        if request.resolver_match is None or request.resolver_match.url_name != EXPORT:
            return changelist
        return type(changelist.__name__, (changelist,), {"get_results": lambda _list, _request: None})

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_export_permission(request):
            raise PermissionDenied
        parameters = request.GET.copy()
        kind = FORMATS.get((parameters.pop(FORMAT_VAR, None) or [""])[-1])
        if kind is None:
            return HttpResponseBadRequest(_("Choose a format: %s.") % ", ".join(FORMATS), content_type="text/plain")
        request.GET = parameters  # type: ignore[assignment]
        try:
            customers = self.get_changelist_instance(request).queryset  # type: ignore[attr-defined]
        except IncorrectLookupParameters:
            return HttpResponseBadRequest(_("Unknown filter."), content_type="text/plain")
        return StreamingHttpResponse(
            kind.write(log_outcome(fetch_batches(customers), create_log_entry(request, kind))),
            headers=build_headers(kind),
        )


def build_links(request: HttpRequest) -> list[tuple[str, str]]:
    parameters = request.GET.copy()
    parameters.pop(PAGE_VAR, None)
    url = reverse(f"admin:{EXPORT}")
    addresses = []
    for kind in FORMATS.values():
        parameters[FORMAT_VAR] = kind.name
        addresses.append((kind.label, f"{url}?{parameters.urlencode()}"))
    return addresses


def build_headers(kind: Format) -> dict[str, str]:
    return {
        "Content-Type": kind.content_type,
        "Content-Disposition": f'attachment; filename="customers-{timezone.localdate()}.{kind.name}"',
        "Cache-Control": "private, no-store",
        # nginx would buffer the response in memory and on disk.
        "X-Accel-Buffering": "no",
    }


def create_log_entry(request: HttpRequest, kind: Format) -> LogEntry:
    """Written before the first row leaves, so that an export that breaks off is known too."""
    chosen = request.GET.urlencode() or _("everything")
    return LogEntry.objects.create(
        user_id=request.user.pk,  # type: ignore[misc]
        content_type=ContentType.objects.get_for_model(Customer),
        object_repr=f"customers.{kind.name}",
        action_flag=CHANGE,
        change_message=f"Export as {kind.label} ({chosen})",
    )


def log_outcome(batches: Iterator[list[Row]], entry: LogEntry) -> Iterator[list[Row]]:
    """Yield the batches, then add the number of rows and the outcome to the log entry."""
    rows, outcome = 0, "aborted"
    try:
        with closing(batches):  # type: ignore[type-var]
            for batch in batches:
                yield batch
                rows += len(batch)
        outcome = "complete"
    finally:
        # Without the filter: searches contain personal data.
        logger.info("User %s exported %s: %s rows, %s", entry.user_id, entry.object_repr, rows, outcome)
        entry.change_message += f": {rows:,} rows, {outcome}"
        entry.save(update_fields=["change_message"])

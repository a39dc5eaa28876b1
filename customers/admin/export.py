"""Export of a list, with its filters and search, for users with the permission."""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from core_apps.big_lists.counts import CappedCount, capped_count
from customers.admin.download import start_and_redirect
from customers.admin.export_job import build_content, describe_filters, export_in_background
from customers.exporting import (
    FORMATS,
    TABLES,
    ExportPlace,
    Format,
    LimitedContent,
    TooManyExportsError,
    find_last_export,
)

MAX_DIRECT = 50_000  # rows; a larger export is made by a worker
RETRY_AFTER = 60  # seconds
FORMAT_VAR, SINCE_VAR = "format", "since"
LAST_EXPORT = "last-export"  # the value of SINCE_VAR


class ExportMixin:
    """For lists of models in TABLES; admin/customers/change_list_object_tools.html has the links."""

    opts: Any
    export_formats: tuple[str, ...] = ("csv", "xlsx")

    @property
    def export_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_export"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_GET(self.export_view))  # type: ignore[attr-defined]
        return [path("export/", view, name=self.export_name), *super().get_urls()]  # type: ignore[misc]

    def has_export_permission(self, request: HttpRequest) -> bool:
        may_view: bool = self.has_view_permission(request)  # type: ignore[attr-defined]
        return may_view and request.user.has_perm(f"{self.opts.app_label}.export_{self.opts.model_name}")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response: HttpResponse = super().changelist_view(request, extra_context)  # type: ignore[misc]
        if isinstance(response, TemplateResponse) and self.has_export_permission(request):
            response.context_data = (response.context_data or {}) | self.build_links(request)
        return response

    def build_links(self, request: HttpRequest) -> dict[str, Any]:
        """Return the links of all rows of the list, and of those that are new since the user's last export of it."""
        parameters = request.GET.copy()
        parameters.pop(PAGE_VAR, None)

        def build_link(name: str, **more: str) -> str:
            query = parameters.copy()
            query.update({FORMAT_VAR: name} | more)
            return f"{reverse(f'admin:{self.export_name}')}?{query.urlencode()}"

        links = [(FORMATS[name].label, build_link(name)) for name in self.export_formats]
        last = find_last_export(request.user, self.opts.model, describe_filters(parameters))
        if last is None:
            return {"exports": links}
        kind, moment = last
        newer = {"label": kind.label, "moment": moment, "url": build_link(kind.name, **{SINCE_VAR: LAST_EXPORT})}
        return {"exports": links, "newer_export": newer}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """For an export, skip the page and the count, which would delay the first row."""
        changelist: type[ChangeList] = super().get_changelist(request, **options)  # type: ignore[misc]
        if request.resolver_match is None or request.resolver_match.url_name != self.export_name:
            return changelist
        return type(changelist.__name__, (changelist,), {"get_results": lambda _list, _request: None})

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_export_permission(request):
            raise PermissionDenied
        parameters = request.GET.copy()
        name, since = ((parameters.pop(one, None) or [""])[-1] for one in (FORMAT_VAR, SINCE_VAR))
        if name not in self.export_formats:
            text = _("Choose a format: %s.") % ", ".join(self.export_formats)
            return HttpResponseBadRequest(text, content_type="text/plain")
        request.GET = parameters  # type: ignore[assignment]
        try:
            if since not in ("", LAST_EXPORT):
                raise IncorrectLookupParameters
            rows = self.get_export_rows(request)
        except IncorrectLookupParameters:
            return HttpResponseBadRequest(_("Unknown filter."), content_type="text/plain")
        last = find_last_export(request.user, self.opts.model, describe_filters(parameters)) if since else None
        return self.export(request, rows, FORMATS[name], last and last[1])

    def get_export_rows(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of the list that the user may see. Raises IncorrectLookupParameters."""
        rows: QuerySet[Any] = self.get_changelist_instance(request).queryset  # type: ignore[attr-defined]
        return rows

    def export(self, request: HttpRequest, rows: Any, kind: Format, since: datetime | None) -> HttpResponseBase:
        """Send a small export at once; of a large one, lead to the page that shows how far a worker is."""
        model = self.opts.model
        if since:
            rows = rows.filter(updated_at__gte=since)
        name = build_name(model, kind)
        if isinstance(capped_count(rows, MAX_DIRECT), CappedCount):
            what = {"model": self.opts.model_name, "query": request.GET.urlencode(), "file_format": kind.name}
            return start_and_redirect(request, export_in_background, name, **what, since=since and since.isoformat())
        try:
            place = ExportPlace(request.user.pk)  # type: ignore[arg-type]
        except TooManyExportsError as error:
            return build_busy_response(error)
        content = build_content(request, rows, kind, since)
        return StreamingHttpResponse(LimitedContent(content, place), headers=build_headers(kind, name))


def build_name(model: type[Model], kind: Format) -> str:
    return f"{TABLES[model].name}-{timezone.localdate()}.{kind.extension}"


def build_busy_response(error: TooManyExportsError) -> HttpResponse:
    own = _("Another export of yours is still running. Wait until its download has ended, then try again.")
    text = own if error.is_own else _("Too many exports are running at this moment. Try again in a minute.")
    headers = {"Retry-After": str(RETRY_AFTER)}
    return HttpResponse(f"{text}\n", status=HTTPStatus.TOO_MANY_REQUESTS, content_type="text/plain", headers=headers)


def build_headers(kind: Format, file_name: str) -> dict[str, str]:
    return {
        "Content-Type": kind.content_type,
        "Content-Disposition": f'attachment; filename="{file_name}"',
        "Cache-Control": "private, no-store",
        # nginx would buffer the response in memory and on disk.
        "X-Accel-Buffering": "no",
    }

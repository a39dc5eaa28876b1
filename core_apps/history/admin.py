from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from core_apps.history.lines import load_lines
from core_apps.history.models import RowChange, RowChangeQuerySet

PER_PAGE = 50


class HistoryPage(admin.ModelAdmin):  # type: ignore[type-arg]
    """A row's history page shows its changes, whatever made them."""

    object_history_template = "history/history.html"

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's page checks the permission; its own entries are those from before the history."""
        row = self.get_object(request, unquote(object_id))
        context: dict[str, Any] = {}
        if row:
            page = Paginator(self.get_history(request, row), PER_PAGE).get_page(request.GET.get("page"))
            context = {"page": page, "changes": load_lines(page, request.user)}
        return super().history_view(request, object_id, context | (extra_context or {}))

    def get_history(self, request: HttpRequest, row: Any) -> RowChangeQuerySet:
        """Override to show other rows' changes as well, of which the user may see all."""
        return RowChange.objects.of(row)

    # The triggers record the same, and Django's entries would keep the name of an erased person.

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any: ...

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any: ...

"""What a deletion cascades to and what protects it, with a limited list of rows.

Django's own page loads and links every row.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite, actions
from django.contrib.admin.utils import quote
from django.db.models import CASCADE, PROTECT, RESTRICT, Model, QuerySet
from django.db.models.deletion import get_candidate_relations_to_delete
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from core_apps.big_lists.counts import Count, capped_count

MAX_LISTED = 20
DeletedObjects = tuple[list[Any], dict[str, Count], set[str], list[Any]]
# The confirmation form has a field for each row, and Django accepts 1,000 fields.
MAX_DELETED_ROWS = 500


def delete_selected(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseBase | None:
    """Django's action with a limit on the number of rows."""
    keys = list(queryset.values_list("pk", flat=True)[: MAX_DELETED_ROWS + 1])
    if len(keys) > MAX_DELETED_ROWS:
        text = _("You can delete at most %(most)s at once. Narrow the list by a search or a filter.")
        model_admin.message_user(request, text % {"most": Count(MAX_DELETED_ROWS)}, messages.ERROR)
        return None
    return actions.delete_selected(model_admin, request, model_admin.model._default_manager.filter(pk__in=keys))


class Deletion:
    """Collects what `ModelAdmin.get_deleted_objects` returns: rows, counts, missing permissions, protected rows."""

    def __init__(self, site: AdminSite, request: HttpRequest) -> None:
        self.site, self.request = site, request
        self.lines: list[Any] = []
        self.counts: dict[str, Count] = {}
        self.forbidden: set[str] = set()
        self.protected: list[Any] = []

    def collect_all(
        self, model: type[Model], keys: list[Any]
    ) -> tuple[list[Any], dict[str, Count], set[str], list[Any]]:
        self.collect(model._base_manager.filter(pk__in=keys))
        return self.lines, self.counts, self.forbidden, self.protected

    def collect(self, rows: QuerySet[Any]) -> None:
        """Adds these rows and what the deletion cascades to."""
        count, name = capped_count(rows), str(rows.model._meta.verbose_name_plural)
        if not count or name in self.counts:
            return
        self.counts[name] = count
        if not self.can_delete(rows.model):
            self.forbidden.add(str(rows.model._meta.verbose_name))
        self.lines.extend(self.list_rows(rows))
        for relation in get_candidate_relations_to_delete(rows.model._meta):
            self.collect_related(relation, rows)

    def collect_related(self, relation: Any, rows: QuerySet[Any]) -> None:
        related = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": rows})
        if relation.on_delete is CASCADE:
            self.collect(related)
        elif relation.on_delete in (PROTECT, RESTRICT):
            self.protected.extend(self.list_rows(related))

    def can_delete(self, model: type[Model]) -> bool:
        is_registered = self.site.is_registered(model)
        return not is_registered or self.site.get_model_admin(model).has_delete_permission(self.request)

    def list_rows(self, rows: QuerySet[Any]) -> Iterator[Any]:
        first = list(rows.select_related()[: MAX_LISTED + 1])
        yield from map(self.format_row, first[:MAX_LISTED])
        if len(first) > MAX_LISTED:
            yield _("and more %(names)s") % {"names": rows.model._meta.verbose_name_plural}

    def format_row(self, row: Model) -> str:
        opts = row._meta
        name = capfirst(opts.verbose_name)
        try:
            page = f"{self.site.name}:{opts.app_label}_{opts.model_name}_change"
            return format_html('{}: <a href="{}">{}</a>', name, reverse(page, args=(quote(row.pk),)), row)
        except NoReverseMatch:
            return f"{name}: {row}"

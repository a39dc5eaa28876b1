"""What a deletion takes along and what forbids it, listed as far as anybody reads.

Django's own page loads and links every row, however many there are.
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

LISTED = 20
# The confirmation names each, so that nothing else is deleted; a form has 1,000 fields at most.
MOST_DELETED = 500


def delete_selected(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponseBase | None:
    """Django's action, for as many rows as one request can delete."""
    keys = list(queryset.values_list("pk", flat=True)[: MOST_DELETED + 1])
    if len(keys) > MOST_DELETED:
        text = _("No more than %(most)s can be deleted at once: narrow the list by a search or a filter.")
        model_admin.message_user(request, text % {"most": Count(MOST_DELETED)}, messages.ERROR)
        return None
    return actions.delete_selected(model_admin, request, model_admin.model._default_manager.filter(pk__in=keys))


class Deletion:
    """What one comes to, in the admin's terms: lines, counts, kinds that the person may not delete, what forbids it."""

    def __init__(self, site: AdminSite, request: HttpRequest) -> None:
        self.site, self.request = site, request
        self.lines: list[Any] = []
        self.counts: dict[str, Count] = {}
        self.forbidden: set[str] = set()
        self.protected: list[Any] = []

    def of(self, model: type[Model], keys: list[Any]) -> tuple[list[Any], dict[str, Count], set[str], list[Any]]:
        self.take(model._base_manager.filter(pk__in=keys))
        return self.lines, self.counts, self.forbidden, self.protected

    def take(self, rows: QuerySet[Any]) -> None:
        """These rows, and what goes with them."""
        count, name = capped_count(rows), str(rows.model._meta.verbose_name_plural)
        if not count or name in self.counts:
            return
        self.counts[name] = count
        if not self.may_delete(rows.model):
            self.forbidden.add(str(rows.model._meta.verbose_name))
        self.lines.extend(self.listed(rows))
        for relation in get_candidate_relations_to_delete(rows.model._meta):
            self.follow(relation, rows)

    def follow(self, relation: Any, rows: QuerySet[Any]) -> None:
        related = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": rows})
        if relation.on_delete is CASCADE:
            self.take(related)
        elif relation.on_delete in (PROTECT, RESTRICT):
            self.protected.extend(self.listed(related))

    def may_delete(self, model: type[Model]) -> bool:
        is_registered = self.site.is_registered(model)
        return not is_registered or self.site.get_model_admin(model).has_delete_permission(self.request)

    def listed(self, rows: QuerySet[Any]) -> Iterator[Any]:
        found = list(rows.select_related()[: LISTED + 1])
        yield from map(self.line, found[:LISTED])
        if len(found) > LISTED:
            yield _("and more %(names)s") % {"names": rows.model._meta.verbose_name_plural}

    def line(self, row: Model) -> str:
        opts = row._meta
        name = capfirst(opts.verbose_name)
        try:
            page = f"{self.site.name}:{opts.app_label}_{opts.model_name}_change"
            return format_html('{}: <a href="{}">{}</a>', name, reverse(page, args=(quote(row.pk),)), row)
        except NoReverseMatch:
            return f"{name}: {row}"

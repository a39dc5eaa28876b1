"""The autocompletion of related rows."""

import re
from typing import Any

from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db.models import QuerySet

KEY = re.compile("[0-9]{1,18}")  # of a bigint column


class SuggestionView(AutocompleteJsonView):
    """Shows the `label` of rows that have one, which tells namesakes apart; link_filters of the list narrow them."""

    def get_queryset(self) -> QuerySet[Any]:
        related = self.model_admin.list_select_related
        rows = super().get_queryset().select_related(*(related if isinstance(related, tuple) else ()))
        filters = {name: self.request.GET.get(name, "") for name in getattr(self.model_admin, "link_filters", ())}
        return rows.filter(**{name: int(key) for name, key in filters.items() if KEY.fullmatch(key)})

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        return super().serialize_result(obj, to_field_name) | {"text": str(getattr(obj, "label", obj))}

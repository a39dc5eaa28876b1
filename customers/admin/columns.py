"""Columns shared by several lists."""

from typing import Any

from django.contrib import admin
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from core_apps.common.fields import get_country_names


@admin.display(description=_("country"))
def country(row: Any) -> str:
    """Return the country's name; for a field with choices, the admin builds a dictionary of all countries per row."""
    names = get_country_names(get_language() or "en")
    return names.get(row.country, "")

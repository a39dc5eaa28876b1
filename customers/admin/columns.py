"""Columns shared by several lists."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.contrib import admin
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from core_apps.common.fields import get_country_names


@admin.display(description=_("country"))
def country(row: Any) -> str:
    """Return the country's name; for a field with choices, the admin builds a dictionary of all countries per row."""
    names = get_country_names(get_language() or "en")
    return names.get(row.country, "")


@admin.display(description=_("Contact"))
def contact(row: Any) -> SafeString:
    """Return links to write to and to call the customer, or that of a follow-up."""
    customer = getattr(row, "customer", row)
    addresses = [("mailto:", quote(customer.email, "@"), customer.email)]
    addresses.append(("tel:", customer.phone_e164, customer.phone))
    return format_html_join("", '<a href="{}{}">{}</a> ', [one for one in addresses if one[1]])


def format_day(moment: datetime | None) -> str | None:
    return date_format(timezone.localtime(moment), "SHORT_DATE_FORMAT") if moment else None

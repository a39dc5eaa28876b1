from typing import ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core_apps.big_lists.admin import BigTableAdmin
from customers.admin.columns import country
from customers.models import Exhibition


@admin.register(Exhibition)
class ExhibitionAdmin(BigTableAdmin):
    list_display = ("name", "edition", "city", country, "starts_on", "ends_on", "industry")
    list_filter = ("starts_on", "industry")
    list_sorting: ClassVar = {"starts_on": ("-starts_on", "-pk")}
    autocomplete_fields = ("staff",)
    search_fields = ("name", "edition", "city", "venue")
    fieldsets = (
        (None, {"fields": ("name", "edition", ("starts_on", "ends_on"))}),
        (_("Place"), {"fields": ("venue", "city", "country", "time_zone")}),
        (_("More"), {"fields": ("industry", "website", "staff")}),
    )

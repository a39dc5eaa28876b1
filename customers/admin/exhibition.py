from django.contrib import admin

from core_apps.common.big_tables import BigTableAdmin
from customers.models import Exhibition


@admin.register(Exhibition)
class ExhibitionAdmin(BigTableAdmin):
    list_display = ("name", "edition", "city", "country", "starts_on", "ends_on", "industry")
    list_filter = ("starts_on", "industry")
    search_fields = ("name", "edition", "city", "venue")
    fieldsets = (
        (None, {"fields": ("name", "edition", ("starts_on", "ends_on"))}),
        ("Place", {"fields": ("venue", "city", "country", "time_zone")}),
        ("More", {"fields": ("industry", "website")}),
    )

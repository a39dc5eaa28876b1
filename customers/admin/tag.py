from django.contrib import admin

from core_apps.big_lists.admin import BigTableAdmin
from customers.models import Tag


@admin.register(Tag)
class TagAdmin(BigTableAdmin):
    list_display = ("name", "created_at")
    list_sorting = {"name": ("name", "pk")}  # noqa: RUF012
    search_fields = ("name",)

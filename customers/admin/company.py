from typing import ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core_apps.big_lists.admin import BigTableAdmin
from customers.admin.columns import country
from customers.models import Company


@admin.register(Company)
class CompanyAdmin(BigTableAdmin):
    list_display = ("name", "domain", country, "industry")
    list_sorting: ClassVar = {"name": ("name", "pk")}
    search_fields = ("search_text",)
    search_help_text = _("Part of the name or web domain")

from django.contrib import admin

from core_apps.common.big_tables import BigTableAdmin
from customers.models import Company


@admin.register(Company)
class CompanyAdmin(BigTableAdmin):
    list_display = ("name", "domain", "country", "industry")
    search_fields = ("name", "domain")

"""An admin site with the list of users, which every project has, and a page that takes too long."""

from typing import Any, ClassVar

from django.contrib.admin import AdminSite
from django.db import connection
from django.http import HttpResponse
from django.urls import include, path

from core_apps.accounts.models import User
from core_apps.big_lists.admin import BigTableAdmin

LIST = "/big/accounts/user/"


class UserList(BigTableAdmin):
    list_display = ("email", "name", "date_joined", "last_login")
    list_sorting: ClassVar = {"date_joined": ("-date_joined", "-pk"), "email": ("email", "pk"), "name": ("name", "pk")}
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    list_per_page = 5


def slow(request: Any) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 10; SELECT pg_sleep(5)")
    return HttpResponse()


site = AdminSite("big")
site.register(User, UserList)
urlpatterns = [path("", include("config.urls")), path("big/", site.urls), path("slow/", slow)]


def page(browser: Any, address: str = LIST) -> Any:
    response = browser.get(address, secure=True)
    assert response.status_code == 200
    return response

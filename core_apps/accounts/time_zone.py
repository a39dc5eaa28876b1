"""The time zone in which a person sees times: their own or, by default, settings.TIME_ZONE."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.generic import UpdateView

from core_apps.accounts.models import User
from core_apps.common.time_zones import get_zone


class TimeZoneMiddleware:
    """Activates the time zone of whoever is logged in; the API answers in UTC regardless."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(find_zone(request)):
            return self.get_response(request)


def find_zone(request: HttpRequest) -> ZoneInfo | None:
    """Return None for the default."""
    # Without the database the view fails as well, for which there is a page; for a middleware there is none.
    with suppress(InterfaceError, OperationalError):
        if settings.SESSION_COOKIE_NAME in request.COOKIES and (name := getattr(request.user, "time_zone", "")):
            return get_zone(name, settings.TIME_ZONE)
    return None


class SettingsView(UpdateView):  # type: ignore[type-arg]
    model = User
    fields = ("time_zone", "language", "daily_digest")
    template_name = "accounts/form.html"
    success_url = reverse_lazy("admin:index")

    def get_object(self, queryset: Any = None) -> Any:
        return self.request.user

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, _("Your settings were saved."))
        form.instance.save(update_fields=self.fields)
        return HttpResponseRedirect(self.get_success_url())

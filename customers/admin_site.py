"""The admin site. Separate from customers.admin, which registers with it while it is imported."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core_apps.accounts.site import AccountSite
from core_apps.big_lists.suggestions import SuggestionView
from customers import calendar, capture
from customers.dashboard import build_dashboard


class ExhibitionSite(AccountSite):
    """The admin with the dashboard as its index page and the capture form."""

    site_header = site_title = settings.PROJECT_NAME
    index_title = _("Dashboard")
    index_template = "customers/dashboard.html"
    site_url = None  # the admin is the site
    enable_nav_sidebar = False  # base_site.html has a bar, which leaves the lists their width and is there on phones

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        dashboard = build_dashboard(request.user, timezone.now(), request.GET.get("exhibition", ""))
        return super().index(request, {"dashboard": dashboard} | (extra_context or {}))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The lists of the daily work come first."""
        return sorted(super().get_app_list(request, app_label), key=lambda app: app["app_label"] != "customers")

    def autocomplete_view(self, request: HttpRequest) -> HttpResponse:
        return SuggestionView.as_view(admin_site=self)(request)  # type: ignore[return-value]

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("capture/", self.admin_view(capture.capture_form), name="capture"),
            path("calendar/", self.admin_view(calendar.calendar_page), name="calendar"),
            *super().get_urls(),
        ]

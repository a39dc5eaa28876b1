"""The admin site. Separate from customers.admin, which registers with it while it is imported."""

from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from customers import capture
from customers.dashboard import build_dashboard


class ExhibitionSite(AdminSite):
    """The admin with the dashboard as its index page and the capture form."""

    site_header = site_title = settings.PROJECT_NAME
    index_title = _("Dashboard")
    index_template = "customers/dashboard.html"
    site_url = None  # the admin is the site
    enable_nav_sidebar = False  # the lists need the width

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        dashboard = build_dashboard(request.user, timezone.now(), request.GET.get("exhibition", ""))
        return super().index(request, {"dashboard": dashboard} | (extra_context or {}))

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("capture/", self.admin_view(capture.capture_form), name="capture"),
            path("capture/customers/", capture.search_customers, name="capture_customers"),
            *super().get_urls(),
        ]

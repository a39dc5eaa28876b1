from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core_apps.media.responses import build_file_response
from core_apps.tasks.job_admin import JobAdmin
from core_apps.tasks.kinds import Kind
from customers.downloads import TooManyDownloadsError, start
from customers.models import Download


@admin.register(Download)
class DownloadAdmin(JobAdmin):
    list_display = ("name", "state", "created_at")
    job_template = "admin/customers/download/progress.html"
    get_pages = ("file",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def file_view(self, request: HttpRequest, key: Any) -> HttpResponseBase:
        download = self.find(request, key)
        if not download.file:
            raise Http404
        return build_file_response(request, str(download.file.name), download.name)


def start_and_redirect(request: HttpRequest, kind: Kind, name: str, **payload: Any) -> HttpResponse:
    """Have the file made, and lead to the page that shows its progress; or to the list if there are too many."""
    try:
        download = start(kind, request.user, name, **payload)
    except TooManyDownloadsError:
        text = _("Several files are being made for you. Wait for one of them, or cancel it, then try again.")
        messages.warning(request, text)
        return HttpResponseRedirect(reverse("admin:customers_download_changelist"))
    return HttpResponseRedirect(reverse("admin:customers_download_change", args=[download.pk]))

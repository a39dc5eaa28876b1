from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path
from django.utils.text import get_valid_filename
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from core_apps.big_lists.admin import BigTableAdmin
from core_apps.messaging.background import build_text
from customers.admin.columns import country
from customers.admin.download import start_and_redirect
from customers.certificates import MAX_NAME, make_certificates
from customers.models import Exhibition
from customers.thank_you import build_sample, send_test


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
        (
            _("Thank-you"),
            {
                "fields": (
                    *("thank_you_subject", "thank_you_text", ("thank_you_language", "thank_you_hours")),
                    *("thank_you_template", "thank_you_parameters"),
                ),
                "description": _("After a visit, to visitors who have agreed to messages about it. None if blank."),
            },
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        views = {"thank_you": self.thank_you_view, "certificates": require_POST(self.certificates_view)}
        own = [
            path(f"<int:key>/{name}/", self.admin_site.admin_view(view), name=f"customers_exhibition_{name}")
            for name, view in views.items()
        ]
        return own + super().get_urls()

    def certificates_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Have the certificates of all its visits made."""
        if not request.user.has_perm("customers.export_visit"):
            raise PermissionDenied
        exhibition = get_object_or_404(self.get_queryset(request), pk=key)
        name = get_valid_filename(f"certificates-{str(exhibition)[:MAX_NAME]}.zip")
        return start_and_redirect(request, make_certificates, name, exhibition=key)

    def thank_you_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Show the e-mail as an invented visitor gets it, and send it to the user."""
        exhibition = get_object_or_404(self.get_queryset(request), pk=key)
        if not self.has_change_permission(request, exhibition):
            raise PermissionDenied
        user: Any = request.user
        if request.method == "POST" and exhibition.thank_you_subject:
            send_test.enqueue(exhibition=key, user=user.pk)
            self.message_user(request, gettext("The test is on its way to %s.") % user.email, messages.SUCCESS)
            return HttpResponseRedirect(request.path)
        sample = build_sample(exhibition, user)
        context = self.admin_site.each_context(request) | {
            "title": _("Preview of the thank-you"),
            "exhibition": exhibition,
            "sample": sample,
            "text": build_text(sample),
        }
        return render(request, "admin/customers/exhibition/thank_you.html", context)

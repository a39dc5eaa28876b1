from operator import attrgetter
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from core_apps.big_lists.admin import BigTableAdmin
from customers.admin.download import start_and_redirect
from customers.admin.export import ExportMixin
from customers.admin.filters import ContactFilter, GradeFilter, LocalDayFilter, OwnerFilter, RecentExhibitionFilter
from customers.certificates import build_name, make_certificate
from customers.models import Exhibition, Visit


class VisitForm(forms.ModelForm):  # type: ignore[type-arg]
    """Shows and takes the time in the time zone of the chosen exhibition, whose choice names the zone."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "visited_at" in self.fields:
            self.prepare_time(self.fields["visited_at"])
            self.fields["exhibition"].label_from_instance = attrgetter("label")  # type: ignore[attr-defined]

    def prepare_time(self, field: Any) -> None:
        field.widget.time_label = _("Time at the exhibition:")
        if self.instance.pk:
            field.zone = self.instance.exhibition.zone
        else:
            field.required, field.initial, field.help_text = False, None, _("Blank for the present time.")

    def clean_exhibition(self) -> Exhibition:
        exhibition: Exhibition = self.cleaned_data["exhibition"]
        self.fields["visited_at"].zone = exhibition.zone  # type: ignore[attr-defined]
        return exhibition

    def clean_visited_at(self) -> Any:
        return self.cleaned_data["visited_at"] or timezone.now()


@admin.register(Visit)
class VisitAdmin(ExportMixin, BigTableAdmin):
    form = VisitForm
    list_display = ("customer", "exhibition", "local_time", "grade", "stand", "captured_by")
    list_filter = (GradeFilter, ContactFilter, RecentExhibitionFilter, OwnerFilter, ("visited_at", LocalDayFilter))
    list_sorting: ClassVar = {"local_time": ("-visited_at", "-pk")}
    link_filters = ("customer__id__exact",)
    list_select_related = ("customer", "exhibition", "captured_by")
    autocomplete_fields = ("customer", "exhibition", "captured_by")
    search_fields = ("customer__search_text",)
    search_help_text = _("Part of the customer's name, company, e-mail address or phone number")

    @admin.display(description=_("visited at"), ordering="visited_at")
    def local_time(self, visit: Visit) -> SafeString:
        moment = date_format(visit.local_time, "DATETIME_FORMAT")
        return format_html('{} <span class="quiet">{}</span>', moment, visit.exhibition.zone)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.certificate_view))
        return [path("<int:key>/certificate/", view, name="customers_visit_certificate"), *super().get_urls()]

    def certificate_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Have the certificate of the visit made. 404 if the user may not see the visit."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        visit = get_object_or_404(self.get_queryset(request), pk=key)
        return start_and_redirect(request, make_certificate, build_name(visit), visit=key)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look sees a text instead of the inputs."""
        names = list(super().get_fields(request, obj))
        if obj and not self.has_change_permission(request, obj):
            names[names.index("visited_at")] = "local_time"
        return names

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Preset the exhibition that is open now."""
        exhibition = Exhibition.objects.open_at(timezone.now()).first()
        initial = {"captured_by": request.user.pk, "exhibition": exhibition and exhibition.pk}
        return initial | super().get_changeform_initial_data(request)

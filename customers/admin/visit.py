from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core_apps.big_lists.admin import BigTableAdmin
from customers.admin.filters import RecentExhibitionFilter
from customers.models import Exhibition, Visit


@admin.register(Visit)
class VisitAdmin(BigTableAdmin):
    list_display = ("customer", "exhibition", "visited_at", "grade", "stand", "captured_by")
    list_filter = ("grade", RecentExhibitionFilter, "visited_at")
    list_sorting: ClassVar = {"visited_at": ("-visited_at", "-pk")}
    link_filters = ("customer__id__exact",)
    list_select_related = ("customer", "exhibition", "captured_by")
    autocomplete_fields = ("customer", "exhibition", "captured_by")
    search_fields = ("customer__search_text",)
    search_help_text = _("Part of the customer's name, company, e-mail address or phone number")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Preset the exhibition that is open now."""
        exhibition = Exhibition.objects.open_at(timezone.now()).first()
        initial = {"captured_by": request.user.pk, "exhibition": exhibition and exhibition.pk}
        return initial | super().get_changeform_initial_data(request)

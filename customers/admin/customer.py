from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from core_apps.common.big_tables import BigTableAdmin
from customers.admin.filters import OwnerFilter, RecentExhibitionFilter
from customers.models import Customer, Visit


class VisitInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Visit
    fields = ("exhibition", "visited_at", "stand", "grade", "interests", "note")
    autocomplete_fields = ("exhibition",)
    # Narrow enough for a tablet at the stand.
    formfield_overrides: ClassVar = {
        models.CharField: {"widget": forms.TextInput({"size": 10})},
        models.TextField: {"widget": forms.Textarea({"rows": 2, "cols": 30})},
    }
    extra = 0
    show_change_link = True


@admin.register(Customer)
class CustomerAdmin(BigTableAdmin):
    list_display = ("__str__", "company", "job_title", "email", "phone", "stage", "owner", "created_at")
    list_filter = ("stage", OwnerFilter, RecentExhibitionFilter, "source", "created_at")
    list_select_related = ("company", "owner")
    search_fields = ("given_name", "family_name", "email", "phone", "phone_e164", "company__name")
    autocomplete_fields = ("company", "owner")
    readonly_fields = ("public_id", "phone_e164", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": (("given_name", "family_name"), "company", "job_title", "photo")}),
        ("Contact", {"fields": ("email", ("phone", "phone_e164"), "country")}),
        ("Sales", {"fields": (("stage", "source"), "owner", "notes")}),
        ("Record", {"fields": ("public_id", ("created_at", "updated_at"))}),
    )
    inlines = (VisitInline,)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk} | super().get_changeform_initial_data(request)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """A new visit was captured by whoever saves it."""
        for visit_form in formset.extra_forms:
            visit_form.instance.captured_by = request.user
        super().save_formset(request, form, formset, change)

"""The pages a stand team works with; each write is a plain form, each read a QuerySet method."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from customers.models import Company, Customer, Exhibition, Visit

admin.site.site_header = admin.site.site_title = "Exhibition CRM"
admin.site.index_title = "Customers, visits, exhibitions"
admin.site.site_url = None  # the admin is the site
admin.site.enable_nav_sidebar = False  # the lists need its width

Lookups = list[tuple[Any, str]]


class OwnerFilter(admin.SimpleListFilter):
    title = "owner"
    parameter_name = "owned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        return [("me", "Mine"), ("nobody", "Nobody's")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer]:
        match self.value():
            case "me":
                queryset = queryset.owned_by(request.user)
            case "nobody":
                queryset = queryset.unowned()
        return queryset  # type: ignore[no-any-return]


class RecentExhibitionFilter(admin.SimpleListFilter):
    """The ten exhibitions that opened last; older ones are found by search."""

    title = "exhibition"
    parameter_name = "exhibition"
    newest = 10

    def lookups(self, request: HttpRequest, model_admin: Any) -> Lookups:
        opened = Exhibition.objects.opened_by(timezone.now())[: self.newest]
        return [(exhibition.pk, str(exhibition)) for exhibition in opened]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Customer] | QuerySet[Visit]:
        number = self.value() or ""
        exhibition = Exhibition.objects.filter(pk=number).first() if number.isdecimal() else None
        return queryset.met_at(exhibition) if exhibition else queryset  # type: ignore[no-any-return]


class ListPage(admin.ModelAdmin):  # type: ignore[type-arg]
    """What every list has in common."""

    list_per_page = 50
    # One COUNT(*) a page is enough.
    show_full_result_count = False


@admin.register(Exhibition)
class ExhibitionAdmin(ListPage):
    list_display = ("name", "edition", "city", "country", "starts_on", "ends_on", "industry")
    list_filter = ("starts_on", "industry")
    search_fields = ("name", "edition", "city", "venue")
    fieldsets = (
        (None, {"fields": ("name", "edition", ("starts_on", "ends_on"))}),
        ("Place", {"fields": ("venue", "city", "country", "time_zone")}),
        ("More", {"fields": ("industry", "website")}),
    )


@admin.register(Company)
class CompanyAdmin(ListPage):
    list_display = ("name", "domain", "country", "industry")
    search_fields = ("name", "domain")


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
class CustomerAdmin(ListPage):
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


@admin.register(Visit)
class VisitAdmin(ListPage):
    list_display = ("customer", "exhibition", "visited_at", "grade", "stand", "captured_by")
    list_filter = ("grade", RecentExhibitionFilter, "visited_at")
    list_select_related = ("customer", "exhibition", "captured_by")
    search_fields = ("customer__given_name", "customer__family_name", "customer__email", "note")
    autocomplete_fields = ("customer", "exhibition", "captured_by")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """At a stand the exhibition is nearly always the one that is open now."""
        exhibition = Exhibition.objects.open_at(timezone.now()).first()
        initial = {"captured_by": request.user.pk, "exhibition": exhibition and exhibition.pk}
        return initial | super().get_changeform_initial_data(request)

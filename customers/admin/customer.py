from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from core_apps.big_lists.admin import BigTableAdmin
from customers.admin.export import ExportMixin
from customers.admin.filters import ArchivedFilter, OwnerFilter, RecentExhibitionFilter, TagFilter
from customers.models import Customer, Tag
from customers.services.customers import (
    archive_customers,
    assign_customers,
    tag_customers,
    unarchive_customers,
    untag_customers,
)
from customers.timeline import build_timeline

MAX_DUPLICATES = 5


class CustomerForm(forms.ModelForm):  # type: ignore[type-arg]
    """Asks for confirmation before it adds a possible duplicate."""

    user: Any  # set by the admin for each request

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if (
            self.instance.pk is None
            and "create_anyway" not in self.data
            and (duplicates := self.find_duplicates(values))
        ):
            raise ValidationError(
                render_to_string("admin/customers/customer/duplicates.html", {"duplicates": duplicates})
            )
        return values

    def find_duplicates(self, values: dict[str, Any]) -> list[Customer]:
        names = ("given_name", "family_name", "email", "phone", "company", "country")
        customer = Customer(**{name: values[name] for name in names if name in values})
        customer.normalise()
        visible = Customer.objects.visible_to(self.user).select_related("company")
        return list(visible.similar_to(customer)[:MAX_DUPLICATES])


class CustomerActionForm(ActionForm):
    tag = forms.ModelChoiceField(Tag.objects.all(), required=False, label=_("tag"))


@admin.register(Customer)
class CustomerAdmin(ExportMixin, BigTableAdmin):
    form = CustomerForm
    action_form = CustomerActionForm
    list_display = ("name", "company", "job_title", "email", "phone", "stage", "owner", "created_at")
    list_sorting: ClassVar = {
        "created_at": ("-created_at", "-pk"),
        "name": ("family_name", "given_name", "pk"),
    }
    list_filter = (
        "stage",
        OwnerFilter,
        RecentExhibitionFilter,
        TagFilter,
        ArchivedFilter,
        "source",
        "created_at",
    )
    link_filters = ("company__id__exact",)
    list_select_related = ("company", "owner")
    search_fields = ("search_text",)  # enables the search box; get_search_results does the search
    search_help_text = _("Part of a name, company, e-mail address or phone number")
    readonly_fields = ("public_id", "phone_e164", "created_at", "updated_at", "archived_at")
    fieldsets = (
        (None, {"fields": (("given_name", "family_name"), "company", "job_title", "photo")}),
        (_("Contact"), {"fields": ("email", ("phone", "phone_e164"), "country")}),
        (_("Sales"), {"fields": (("stage", "source"), "owner", "tags", "notes")}),
        (_("Record"), {"fields": ("public_id", ("created_at", "updated_at", "archived_at")), "classes": ("collapse",)}),
    )
    actions = ("assign_to_me", "add_tag", "remove_tag", "archive", "unarchive")
    change_form_template = "admin/customers/customer/change_form.html"

    @admin.display(description=_("name"), ordering="family_name")
    def name(self, customer: Customer) -> str:
        return str(customer)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"user": request.user})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"owner": request.user.pk} | super().get_changeform_initial_data(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Customers with visits or follow-ups cannot be deleted; archive them instead."""
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or not Customer.objects.filter(pk=obj.pk).with_history().exists()

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        context = {"timeline": build_timeline(customer, request.user)} if customer else {}  # type: ignore[arg-type]
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.archive_view))
        return [path("<path:object_id>/archive/", view, name="customers_customer_archive"), *super().get_urls()]

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Archive the customer, or restore an archived one."""
        customer = self.get_object(request, object_id)
        if customer is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_change_permission(request, customer):
            return HttpResponse(status=403)
        one = Customer.objects.filter(pk=customer.pk)
        if customer.archived_at:
            unarchive_customers(one)
            self.log_archive(request, customer, _("%s was restored from the archive."))
        else:
            archive_customers(one)
            self.log_archive(request, customer, _("%s was archived, with all visits and follow-ups."))
        return HttpResponseRedirect(reverse("admin:customers_customer_change", args=[customer.pk]))

    def log_archive(self, request: HttpRequest, customer: Customer, message: Any) -> None:
        self.log_change(request, customer, [{"changed": {"fields": ["archived"]}}])
        self.message_user(request, message % customer, messages.SUCCESS)

    # Actions: each is a bulk operation on the queryset.

    @admin.action(description=_("Assign to me"), permissions=["change"])
    def assign_to_me(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        self.report_count(request, assign_customers(queryset, request.user))  # type: ignore[arg-type]

    @admin.action(description=_("Add tag"), permissions=["change"])
    def add_tag(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        if tag := self.get_tag(request):
            self.report_count(request, tag_customers(queryset, tag))

    @admin.action(description=_("Remove tag"), permissions=["change"])
    def remove_tag(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        if tag := self.get_tag(request):
            self.report_count(request, untag_customers(queryset, tag))

    @admin.action(description=_("Archive"), permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        self.report_count(request, archive_customers(queryset))

    @admin.action(description=_("Restore from the archive"), permissions=["change"])
    def unarchive(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        self.report_count(request, unarchive_customers(queryset))

    def get_tag(self, request: HttpRequest) -> Tag | None:
        number = request.POST.get("tag", "")
        tag = Tag.objects.filter(pk=number).first() if number.isdecimal() else None
        if tag is None:
            self.message_user(request, _("Choose a tag next to the action."), messages.WARNING)
        return tag

    def report_count(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d customer was changed.", "%(count)d customers were changed.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

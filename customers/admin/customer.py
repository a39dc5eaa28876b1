from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from core_apps.big_lists.admin import BigTableAdmin
from core_apps.history.models import RowChange, RowChangeQuerySet
from core_apps.messaging.campaigns import MAX_RECIPIENTS, create_campaign
from core_apps.messaging.suppression import list_unsubscribed
from customers.admin.columns import contact, format_day
from customers.admin.export import ExportMixin
from customers.admin.filters import (
    ArchivedFilter,
    ContactFilter,
    GradeFilter,
    OwnerFilter,
    RecentExhibitionFilter,
    TagFilter,
    parse_key,
)
from customers.exporting import FORMATS
from customers.models import Customer, Tag
from customers.querysets import ARCHIVE_CUSTOMER, VIEW_EVERY_CUSTOMER
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
    tag = forms.ModelChoiceField(Tag.objects.all(), required=False, label=capfirst(_("tag")))


@admin.register(Customer)
class CustomerAdmin(ExportMixin, BigTableAdmin):
    form = CustomerForm
    export_formats = tuple(FORMATS)
    action_form = CustomerActionForm
    list_display = ("name", "company", "grade", "next_follow_up", contact, "stage", "owner", "created")
    list_sorting: ClassVar = {
        "created": ("-created_at", "-pk"),
        "name": ("family_name", "given_name", "pk"),
    }
    list_filter = (
        "stage",
        OwnerFilter,
        RecentExhibitionFilter,
        GradeFilter,
        ContactFilter,
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
    actions = ("assign_to_me", "add_tag", "remove_tag", "write_campaign", "archive", "unarchive")
    change_form_template = "admin/customers/customer/change_form.html"

    @admin.display(description=_("name"), ordering="family_name")
    def name(self, customer: Customer) -> str:
        return str(customer)

    @admin.display(description=_("grade"))
    def grade(self, customer: Any) -> str | None:
        return next((visit.grade for visit in customer.latest_visit), None) or None

    @admin.display(description=_("next follow-up"))
    def next_follow_up(self, customer: Any) -> SafeString | None:
        for follow_up in customer.next_follow_up:
            url = reverse("admin:customers_followup_change", args=[follow_up.pk])
            return format_html('<a href="{}">{}</a>', url, format_day(follow_up.due_at))
        return None

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, customer: Customer) -> str | None:
        return format_day(customer.created_at)

    def load_related(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.with_lead(request.user)  # type: ignore[attr-defined,no-any-return]

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
        context: dict[str, Any] = {}
        if customer:
            context = {
                "timeline": build_timeline(customer, request.user),  # type: ignore[arg-type]
                "unsubscribed": list_unsubscribed(customer),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.archive_view))
        return [path("<path:object_id>/archive/", view, name="customers_customer_archive"), *super().get_urls()]

    def archive_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Archive the customer, or restore an archived one."""
        customer = self.get_object(request, object_id)
        if customer is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_archive_permission(request):
            return HttpResponse(status=403)
        one = Customer.objects.filter(pk=customer.pk)
        if customer.archived_at:
            unarchive_customers(one)
            message = _("%s was restored from the archive.")
        else:
            archive_customers(one)
            message = _("%s was archived, with all visits and follow-ups.")
        self.message_user(request, message % customer, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:customers_customer_change", args=[customer.pk]))

    def has_campaign_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("messaging.add_campaign")

    def has_archive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(ARCHIVE_CUSTOMER)

    def get_history(self, request: HttpRequest, row: Any) -> RowChangeQuerySet:
        """With the changes of visits and follow-ups, deleted ones included, for who sees those of every exhibition."""
        every = request.user.has_perm(VIEW_EVERY_CUSTOMER)
        return RowChange.objects.about(row.pk) if every else super().get_history(request, row)

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

    @admin.action(description=_("Write an e-mail to them"), permissions=["campaign"])
    def write_campaign(self, request: HttpRequest, queryset: QuerySet[Customer]) -> HttpResponse | None:
        if queryset.count() > MAX_RECIPIENTS:
            text = _("A campaign has at most %d recipients: narrow the list.") % MAX_RECIPIENTS
            self.message_user(request, text, messages.ERROR)
            return None
        campaign = create_campaign(queryset, request.user)
        return HttpResponseRedirect(reverse("admin:messaging_campaign_change", args=[campaign.pk]))

    @admin.action(description=_("Archive"), permissions=["archive"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        self.report_count(request, archive_customers(queryset))

    @admin.action(description=_("Restore from the archive"), permissions=["archive"])
    def unarchive(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        self.report_count(request, unarchive_customers(queryset))

    def get_tag(self, request: HttpRequest) -> Tag | None:
        tag = Tag.objects.filter(pk=parse_key(request.POST.get("tag"))).first()
        if tag is None:
            self.message_user(request, _("Choose a tag next to the action."), messages.WARNING)
        return tag

    def report_count(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d customer was changed.", "%(count)d customers were changed.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

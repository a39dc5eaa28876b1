from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core_apps.big_lists.admin import BigTableAdmin
from customers.admin.columns import contact
from customers.admin.export import ExportMixin
from customers.admin.filters import StateFilter
from customers.models import FollowUp, Visit
from customers.services.follow_ups import assign_follow_ups, complete_follow_ups

FIRST_CONTACT = timedelta(days=1)  # contact a lead within a day


class OutcomeForm(forms.Form):
    outcome = forms.ChoiceField(
        choices=[("", _("No outcome")), *FollowUp.Outcome.choices], required=False, label=capfirst(_("outcome"))
    )


class FollowUpActionForm(OutcomeForm, ActionForm):
    """Asks for the outcome of follow-ups that are marked as done."""


@admin.register(FollowUp)
class FollowUpAdmin(ExportMixin, BigTableAdmin):
    list_display = ("customer", contact, "channel", "due_at", "priority", "assignee", "done")
    list_sorting: ClassVar = {"due_at": ("due_at", "pk")}
    list_filter = (StateFilter, "channel", "priority")
    link_filters = ("customer__id__exact",)
    list_select_related = ("customer", "assignee")
    search_fields = ("customer__search_text",)
    search_help_text = _("Part of the customer's name, company, e-mail address or phone number")
    fieldsets = (
        (None, {"fields": ("customer", "visit", ("channel", "priority"), "due_at", "assignee", "note")}),
        (_("Completion"), {"fields": ("outcome", "completed_at")}),
    )
    actions = ("assign_to_me", "mark_done")
    action_form = FollowUpActionForm

    class Media:
        js = ("admin/js/jquery.init.js", "customers/follow_up.js")  # in this order

    def get_list_display(self, request: HttpRequest) -> Any:
        """Who may only look sees the outcome instead of the link."""
        columns = super().get_list_display(request)
        return columns if self.has_change_permission(request) else (*columns[:-1], "outcome")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """With a customer, preset the latest visit too."""
        initial = super().get_changeform_initial_data(request)
        visits = Visit.objects.visible_to(request.user).filter(customer=initial.get("customer"))
        latest = visits.values_list("pk", flat=True).first() if "customer" in initial else None
        due_at = timezone.now() + FIRST_CONTACT
        return {"assignee": request.user.pk, "due_at": due_at, "visit": latest} | initial

    @admin.display(description=_("done"))
    def done(self, follow_up: FollowUp) -> str | SafeString:
        if follow_up.completed_at:
            return follow_up.get_outcome_display() or str(_("done"))
        url = reverse("admin:customers_followup_done", args=[follow_up.pk])
        label = _("Done: %s") % follow_up
        return format_html('<a href="{}" aria-label="{}" class="button">{}</a>', url, label, _("Done"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.done_view)
        return [path("<path:object_id>/done/", view, name="customers_followup_done"), *super().get_urls()]

    def done_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for the outcome, complete the follow-up, and redirect to the page with the link."""
        follow_up = self.get_object(request, object_id)
        if follow_up is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_change_permission(request, follow_up):
            raise PermissionDenied
        form = OutcomeForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            return self.complete(request, follow_up, form.cleaned_data["outcome"])
        return self.report_done(request, follow_up) if follow_up.completed_at else self.ask(request, follow_up, form)

    def complete(self, request: HttpRequest, follow_up: FollowUp, outcome: str) -> HttpResponse:
        if not complete_follow_ups(FollowUp.objects.filter(pk=follow_up.pk), request.user, outcome):  # type: ignore[arg-type]
            return self.report_done(request, follow_up)
        self.message_user(request, _("Done: %s") % follow_up, messages.SUCCESS)
        return HttpResponseRedirect(self.get_return_url(request))

    def report_done(self, request: HttpRequest, follow_up: FollowUp) -> HttpResponse:
        """Redirect to the form, which shows the outcome and the time."""
        self.message_user(request, _("Somebody has already done this: %s") % follow_up, messages.WARNING)
        return HttpResponseRedirect(reverse("admin:customers_followup_change", args=[follow_up.pk]))

    def ask(self, request: HttpRequest, follow_up: FollowUp, form: OutcomeForm) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": _("Complete the follow-up"),
            "follow_up": follow_up,
            "form": form,
            "redirect_field_name": "next",
            "redirect_field_value": self.get_return_url(request),
            "button": _("Done"),
        }
        return TemplateResponse(request, "admin/customers/followup/done.html", context)

    def get_return_url(self, request: HttpRequest) -> str:
        for url in (request.POST.get("next", ""), request.GET.get("next", ""), request.headers.get("Referer", "")):
            is_own = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
            if is_own and request.path not in url:
                return url
        return reverse("admin:customers_followup_changelist")

    @admin.action(description=_("Assign to me"), permissions=["change"])
    def assign_to_me(self, request: HttpRequest, queryset: QuerySet[FollowUp]) -> None:
        self.report_count(request, assign_follow_ups(queryset, request.user))  # type: ignore[arg-type]

    @admin.action(description=_("Mark as done"), permissions=["change"])
    def mark_done(self, request: HttpRequest, queryset: QuerySet[FollowUp]) -> None:
        outcome = request.POST.get("outcome", "")  # which the action's form has checked
        self.report_count(request, complete_follow_ups(queryset, request.user, outcome))  # type: ignore[arg-type]

    def report_count(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d follow-up was changed.", "%(count)d follow-ups were changed.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from core_apps.big_lists.admin import BigTableAdmin
from customers.admin.filters import StateFilter
from customers.models import FollowUp
from customers.services.follow_ups import assign_follow_ups, complete_follow_ups

FIRST_CONTACT = timedelta(days=1)  # contact a lead within a day


@admin.register(FollowUp)
class FollowUpAdmin(BigTableAdmin):
    list_display = ("customer", "channel", "due_at", "priority", "assignee", "done")
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

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = {"assignee": request.user.pk, "due_at": timezone.now() + FIRST_CONTACT}
        return initial | super().get_changeform_initial_data(request)

    @admin.display(description=_("done"))
    def done(self, follow_up: FollowUp) -> str | SafeString:
        """Return a button that submits the list's form, with its CSRF token, to another URL."""
        if follow_up.completed_at:
            return follow_up.get_outcome_display() or str(_("done"))
        url = reverse("admin:customers_followup_done", args=[follow_up.pk])
        label = _("Done: %s") % follow_up
        return format_html('<button formaction="{}" aria-label="{}" class="button">{}</button>', url, label, _("Done"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.done_view))
        return [path("<path:object_id>/done/", view, name="customers_followup_done"), *super().get_urls()]

    def done_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Complete the follow-up, and redirect to the page with the button."""
        follow_up = self.get_object(request, object_id)
        if follow_up is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_change_permission(request, follow_up):
            return HttpResponse(status=403)
        if complete_follow_ups(FollowUp.objects.filter(pk=follow_up.pk), request.user):  # type: ignore[arg-type]
            self.log_change(request, follow_up, [{"changed": {"fields": ["completed"]}}])
            self.message_user(request, _("Done: %s") % follow_up, messages.SUCCESS)
        return HttpResponseRedirect(self.get_return_url(request))

    def get_return_url(self, request: HttpRequest) -> str:
        for url in (request.POST.get("next", ""), request.headers.get("Referer", "")):
            if url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure()):
                return url
        return reverse("admin:customers_followup_changelist")

    @admin.action(description=_("Assign to me"), permissions=["change"])
    def assign_to_me(self, request: HttpRequest, queryset: QuerySet[FollowUp]) -> None:
        self.report_count(request, assign_follow_ups(queryset, request.user))  # type: ignore[arg-type]

    @admin.action(description=_("Mark as done"), permissions=["change"])
    def mark_done(self, request: HttpRequest, queryset: QuerySet[FollowUp]) -> None:
        self.report_count(request, complete_follow_ups(queryset, request.user))  # type: ignore[arg-type]

    def report_count(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%(count)d follow-up was changed.", "%(count)d follow-ups were changed.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

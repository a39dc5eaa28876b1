from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from core_apps.big_lists.admin import BigTableAdmin
from core_apps.messaging import campaigns
from core_apps.messaging.background import build_text
from core_apps.messaging.models import Campaign, Message

STEPS = {"start": campaigns.start, "pause": campaigns.pause, "stop": campaigns.stop}


@admin.register(Campaign)
class CampaignAdmin(BigTableAdmin):
    """A draft is written, previewed and started. It begins with an action of the list of people."""

    list_display = ("__str__", "state", "owner", "created_at")
    list_sorting: ClassVar = {"created_at": ("-created_at", "-pk")}
    list_select_related = ("owner",)
    actions = None
    text_fields = ("subject", "text", "language")
    fields = (*text_fields, "per_minute", "state", "owner", "created_at")
    change_form_template = "messaging/campaign.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_draft = obj is None or obj.state == Campaign.State.DRAFT
        return is_draft and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What has begun keeps its text; its rate may be changed."""
        fixed = () if obj and obj.state == Campaign.State.DRAFT else self.text_fields
        return ("state", "owner", "created_at", *fixed)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.send_view)
        return [path("<int:key>/send/", view, name="messaging_campaign_send"), *super().get_urls()]

    def response_change(self, request: HttpRequest, obj: Campaign) -> HttpResponse:
        if obj.state == Campaign.State.DRAFT and "_save" in request.POST:
            return HttpResponseRedirect(reverse("admin:messaging_campaign_send", args=[obj.pk]))
        return super().response_change(request, obj)

    def send_view(self, request: HttpRequest, key: int) -> HttpResponse:
        """Show what would be sent and to how many, or what has become of it; start, pause and stop it."""
        campaign = get_object_or_404(self.get_queryset(request), pk=key)
        if not self.has_change_permission(request, campaign):
            raise PermissionDenied
        if request.method == "POST":
            self.do_step(request, campaign)
            return HttpResponseRedirect(request.path)
        sample = campaigns.build_sample(campaign, getattr(request.user, "email", ""))
        context = self.admin_site.each_context(request) | {
            "title": str(campaign),
            "campaign": campaign,
            "opts": self.opts,
            "recipients": campaign.recipients.count(),
            "allowed": campaigns.find_allowed(campaign).count(),
            "counts": count_messages(campaign),
            "sample": sample,
            "sample_text": build_text(sample) if sample else "",
        }
        return TemplateResponse(request, "messaging/campaign_send.html", context)

    def do_step(self, request: HttpRequest, campaign: Campaign) -> None:
        user: Any = request.user
        name = request.POST.get("step", "")
        if name not in (*STEPS, "test"):
            raise BadRequest(f"{name!r} is not a step of a campaign")
        if not (campaign.subject and campaign.text):
            self.message_user(request, _("Write a subject and a text first."), messages.ERROR)
        elif name == "test":
            campaigns.send_test.enqueue(campaign=campaign.pk, address=user.email)
            self.message_user(request, _("The test is on its way to %s.") % user.email, messages.SUCCESS)
        elif not STEPS[name](campaign):
            self.message_user(request, _("Somebody else was faster: look at the state."), messages.WARNING)


def count_messages(campaign: Campaign) -> list[tuple[str, int]]:
    rows = campaign.messages.order_by().values_list("state").annotate(count=Count("pk"))
    labels = dict(Message.State.choices)
    return [(str(labels[state]), count) for state, count in rows]

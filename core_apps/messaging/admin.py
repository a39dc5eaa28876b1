from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from core_apps.big_lists.admin import BigTableAdmin
from core_apps.common.visibility import VisibleRows
from core_apps.messaging import campaign_admin  # noqa: F401 - registers its admin
from core_apps.messaging.background import build_text
from core_apps.messaging.models import Consent, Message, Wording


class AppendOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """No row is changed, and one is deleted only with the person whom it is about."""

    actions = None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Without a row: whether it may be deleted with the person."""
        return obj is None


@admin.register(Wording)
class WordingAdmin(AppendOnly, VisibleRows, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("purpose", "channel", "language", "version", "text", "created_at")
    ordering = ("purpose", "channel", "language", "-version")
    fields = ("purpose", "channel", "language", "version", "text", "public_id")
    readonly_fields = ("version", "public_id")


BY_HAND = (Consent.Method.SPOKEN, Consent.Method.WRITTEN)


class ConsentForm(forms.ModelForm):  # type: ignore[type-arg]
    # Few rows, and not everybody who records a consent may see the list of wordings.
    wording = forms.ModelChoiceField(
        Wording.objects.order_by("purpose", "channel", "language", "-version"), label=capfirst(_("wording"))
    )
    method = forms.ChoiceField(label=capfirst(_("method")), choices=[(each, each.label) for each in BY_HAND])


@admin.register(Consent)
class ConsentAdmin(AppendOnly, BigTableAdmin):
    form = ConsentForm
    list_display = ("recipient", "wording", "given", "method", "at", "by")
    list_sorting: ClassVar = {"at": ("-at", "-pk")}
    list_select_related = ("recipient", "wording", "by")
    link_filters = ("recipient__id__exact",)
    fields = ("recipient", "wording", "given", "method")
    evidence = ("wording_text", "at", "by", "address", "created_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.fields, *self.evidence) if obj else self.fields

    @admin.display(description=_("text"))
    def wording_text(self, consent: Consent) -> str:
        return consent.wording.text

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.by = request.user
        super().save_model(request, obj, form, change)

    def response_post_save_add(self, request: HttpRequest, obj: Consent) -> HttpResponseRedirect:
        """Back to the person, from whose page people come."""
        opts = obj.recipient._meta
        return HttpResponseRedirect(
            reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[obj.recipient_id])
        )


@admin.register(Message)
class MessageAdmin(AppendOnly, BigTableAdmin):
    list_display = ("subject", "recipient", "channel", "purpose", "state", "created_at", "finished_at")
    list_sorting: ClassVar = {"created_at": ("-created_at", "-pk")}
    list_select_related = ("recipient",)
    link_filters = ("recipient__id__exact", "campaign__id__exact")
    fields = (
        *("recipient", "channel", "purpose", "campaign", "consent", "state", "error"),
        *("created_at", "sending_at", "finished_at", "delivered_at", "read_at"),
        *("address", "subject", "complete_text", "vcard", "template", "parameters", "provider_id"),
    )
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description=_("text"))
    def complete_text(self, message: Message) -> str:
        return build_text(message) if message.text else ""

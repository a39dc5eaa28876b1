from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.widgets import AdminURLFieldWidget
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core_apps.common.visibility import ApplicationRows, VisibleRows
from core_apps.webhooks.addresses import AddressError, check_url
from core_apps.webhooks.models import Delivery, Endpoint
from core_apps.webhooks.services import send_again, send_test

ACTIONS = {"created": _("created"), "changed": _("changed"), "erased": _("erased")}


def list_events() -> list[tuple[str, str]]:
    return [
        (f"{name}.{action}", f"{label}: {text}")
        for name, label in settings.WEBHOOK_SUBJECTS.items()
        for action, text in ACTIONS.items()
    ]


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    url = forms.URLField(label=_("URL"), max_length=500, assume_scheme="https", widget=AdminURLFieldWidget)
    events = forms.MultipleChoiceField(label=_("Events"), choices=list_events, widget=forms.CheckboxSelectMultiple)

    class Meta:
        model = Endpoint
        fields = ("name", "url", "events")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            check_url(url)
        except AddressError as error:
            raise ValidationError(str(error)) from None
        return url


@admin.register(Endpoint)
class EndpointAdmin(VisibleRows, admin.ModelAdmin):  # type: ignore[type-arg]
    form = EndpointForm
    list_display = ("name", "url", "state", "last_day", "failing_since")
    readonly_fields = ("state", "failing_since", "resting_until", "rotated_at")
    actions = ("pause", "resume", "rotate", "send_test", "repeat_failed")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name", "url", "events", *(self.readonly_fields if obj else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj else ()

    def get_queryset(self, request: HttpRequest) -> Any:
        recent = Q(deliveries__created_at__gt=timezone.now() - timedelta(days=1))
        is_delivered = recent & Q(deliveries__state=Delivery.State.DELIVERED)
        counts = {"sent": Count("deliveries", recent), "delivered": Count("deliveries", is_delivered)}
        return super().get_queryset(request).annotate(**counts)

    @admin.display(description=_("delivered in 24 hours"))
    def last_day(self, endpoint: Any) -> str:
        return f"{endpoint.delivered} / {endpoint.sent}"

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self.show_secret(request, obj)

    def show_secret(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
        """Show it in the response, and only once: a message would put it into a cookie."""
        title = _("The secret of %s") % endpoint
        context = self.admin_site.each_context(request) | {"title": title, "opts": self.opts, "row": endpoint}
        return TemplateResponse(request, "webhooks/secret.html", context)

    @admin.action(description=_("Pause the selected webhooks"), permissions=["change"])
    def pause(self, request: HttpRequest, endpoints: Any) -> None:
        endpoints.update(state=Endpoint.State.PAUSED)

    @admin.action(description=_("Resume the selected webhooks"), permissions=["change"])
    def resume(self, request: HttpRequest, endpoints: Any) -> None:
        endpoints.update(state=Endpoint.State.ACTIVE, failing_since=None)

    @admin.action(description=_("Change the secret of the selected webhook"), permissions=["change"])
    def rotate(self, request: HttpRequest, endpoints: Any) -> HttpResponse | None:
        if len(endpoints) != 1:
            self.message_user(request, _("Select exactly one webhook."), "ERROR")
            return None
        endpoints[0].rotate()
        return self.show_secret(request, endpoints[0])

    @admin.action(description=_("Send a test to the selected webhooks"), permissions=["change"])
    def send_test(self, request: HttpRequest, endpoints: Any) -> None:
        report(self, request, send_test(endpoints))

    @admin.action(description=_("Send again what has failed"), permissions=["change"])
    def repeat_failed(self, request: HttpRequest, endpoints: Any) -> None:
        report(self, request, send_again(Delivery.objects.filter(endpoint__in=endpoints, state=Delivery.State.FAILED)))


@admin.register(Delivery)
class DeliveryAdmin(ApplicationRows, admin.ModelAdmin):  # type: ignore[type-arg]
    """The log of deliveries."""

    list_display = ("event", "subject", "endpoint", "state", "status", "milliseconds", "created_at", "attempted_at")
    list_filter = ("state", "endpoint")
    list_select_related = ("endpoint",)
    show_full_result_count = False
    actions = ("send_again",)

    @admin.action(description=_("Send the selected deliveries again"), permissions=["change"])
    def send_again(self, request: HttpRequest, deliveries: Any) -> None:
        report(self, request, send_again(deliveries))


def report(model_admin: Any, request: HttpRequest, count: int) -> None:
    text = ngettext("%(count)d delivery is sent.", "%(count)d deliveries are sent.", count)
    model_admin.message_user(request, text % {"count": count})

"""Setting up two-factor authentication, and turning it off."""

from base64 import b32encode
from typing import Any

import segno
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from core_apps.accounts.models import User
from core_apps.accounts.two_factor import devices


class SetupForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        help_text=_("The six digits that the app shows."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)

    def clean_code(self) -> str:
        devices.confirm_device(self.user, self.cleaned_data["code"])
        return str(self.cleaned_data["code"])


def draw_qr_code(user: User) -> dict[str, Any]:
    """The template's context: the QR code as SVG, and its secret for those who type it."""
    device = devices.prepare_device(user)
    svg = segno.make(device.config_url).svg_inline(scale=5, light="#fff")
    secret = b32encode(device.bin_key).decode()
    return {"qr_code": mark_safe(svg), "secret": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))}  # noqa: S308 - segno escapes


def show(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    user = require_user(request)
    context |= {
        "title": _("Two-factor authentication"),
        "has_device": devices.has_device(user),
        "is_required": devices.is_required(user),
        "recovery_codes": devices.count_recovery_codes(user),
    }
    return render(request, "accounts/two_factor.html", context)


def set_up(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    user = require_user(request)
    form = SetupForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        return show_new_codes(request, context, user)
    context |= {"title": _("Set up two-factor authentication"), "form": form, "button": _("Set up")}
    return render(request, "accounts/setup.html", context | draw_qr_code(user))


@require_POST
def renew_codes(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    user = require_user(request)
    return show_new_codes(request, context, user) if devices.has_device(user) else redirect_to_overview()


def show_new_codes(request: HttpRequest, context: dict[str, Any], user: User) -> HttpResponse:
    """In the response, because they are not shown again."""
    codes = devices.create_recovery_codes(user)
    context |= {"title": _("Your recovery codes"), "codes": codes, "next": reverse("admin:two_factor")}
    return render(request, "accounts/recovery_codes.html", context)


@require_POST
def turn_off(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    user = require_user(request)
    if devices.is_required(user):
        raise PermissionDenied
    devices.remove_devices(user, by=user)
    return redirect_to_overview()


def redirect_to_overview() -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:two_factor"))


def require_user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user

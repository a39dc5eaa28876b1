"""Logging in with two steps. Between them nobody is logged in: the session only names who knows the password."""

import time
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.auth import login
from django.contrib.auth.views import LoginView, RedirectURLMixin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from core_apps.accounts.guesses import remember_device
from core_apps.accounts.models import User
from core_apps.accounts.two_factor import devices
from core_apps.accounts.two_factor.setup import SetupForm, draw_qr_code

PENDING, PENDING_SECONDS = "pending_login", 10 * 60


class PasswordStepView(LoginView):
    """The admin's log-in, which leads to the second step where there is one."""

    next_page = "admin:index"

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        if step := find_second_step(user):
            self.request.session[PENDING] = [user.pk, user.get_session_auth_hash(), int(time.time())]
            return HttpResponseRedirect(f"{reverse(step)}?{urlencode({'next': self.get_success_url()})}")
        response = super().form_valid(form)
        remember_device(self.request, response, user.email)
        return response


def find_second_step(user: User) -> str | None:
    if devices.has_device(user):
        return "admin:login_code"
    return "admin:login_setup" if devices.is_required(user) else None


def find_pending_user(request: HttpRequest) -> User | None:
    """Who has entered the password within the last minutes, which has not been changed since."""
    pk, password_hash, entered = request.session.get(PENDING) or (0, "", 0)
    user = User.objects.filter(pk=pk, is_active=True).first()
    valid = user and constant_time_compare(user.get_session_auth_hash(), password_hash)
    return user if valid and time.time() - entered <= PENDING_SECONDS else None


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=20,
        help_text=_("Six digits of your app, or one of your recovery codes."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "spellcheck": "false"}),
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        self.user = user
        super().__init__(*args, **kwargs)

    def clean_code(self) -> str:
        devices.check_code(self.user, self.cleaned_data["code"])
        return str(self.cleaned_data["code"])


class SecondStepView(RedirectURLMixin, FormView):  # type: ignore[type-arg]
    """For somebody who has entered the password; everybody else begins with that."""

    template_name = "accounts/login_code.html"
    form_class: Any = CodeForm
    next_page = "admin:index"
    step = "admin:login_code"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = find_pending_user(request)
        if user is None or find_second_step(user) != self.step:
            return HttpResponseRedirect(reverse("admin:login"))
        self.user = user
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {"user": self.user} | super().get_form_kwargs()

    def form_valid(self, form: Any) -> HttpResponse:
        del self.request.session[PENDING]
        login(self.request, self.user)
        response = self.respond()
        remember_device(self.request, response, self.user.email)
        return response

    def respond(self) -> HttpResponse:
        return HttpResponseRedirect(self.get_success_url())


class SetupStepView(SecondStepView):
    """For somebody whose role requires two-factor authentication, and who has not set it up."""

    template_name = "accounts/login_setup.html"
    form_class = SetupForm
    step = "admin:login_setup"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | draw_qr_code(self.user)

    def respond(self) -> HttpResponse:
        context = {
            **(self.extra_context or {}),
            "title": _("Your recovery codes"),
            "codes": devices.create_recovery_codes(self.user),
            "next": self.get_success_url(),
        }
        return render(self.request, "accounts/recovery_codes.html", context)

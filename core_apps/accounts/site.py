"""What an admin site needs for secure accounts: the project's site derives from AccountSite."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.views import PasswordChangeView, RedirectURLMixin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.generic import FormView

from core_apps.accounts import sessions
from core_apps.accounts.forms import ConfirmPasswordForm, OwnPasswordForm
from core_apps.accounts.time_zone import SettingsView
from core_apps.accounts.two_factor import setup
from core_apps.accounts.two_factor.login import PasswordStepView, SecondStepView, SetupStepView


class AccountSite(AdminSite):
    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """As Django's, with a second step."""
        if request.method == "GET" and self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        context = {
            **self.each_context(request),
            "title": _("Log in"),
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        view = PasswordStepView.as_view(
            authentication_form=AdminAuthenticationForm, template_name="admin/login.html", extra_context=context
        )
        return view(request)

    @method_decorator(never_cache)
    def login_code(self, request: HttpRequest) -> HttpResponseBase:
        context = {**self.each_context(request), "title": _("Enter your code")}
        return SecondStepView.as_view(extra_context=context)(request)

    @method_decorator(never_cache)
    def login_setup(self, request: HttpRequest) -> HttpResponseBase:
        context = {
            **self.each_context(request),
            "title": _("Set up two-factor authentication"),
            "button": _("Set up"),
        }
        return SetupStepView.as_view(extra_context=context)(request)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """As Django's, with a form of ours."""
        view = PasswordChangeView.as_view(
            form_class=partial(OwnPasswordForm, request),
            template_name="accounts/form.html",
            success_url=reverse("admin:password_change_done"),
            extra_context={
                **self.each_context(request),
                "explanation": _("The change logs you out on all other devices."),
                "button": _("Change my password"),
                **(extra_context or {}),
            },
        )
        return view(request)

    def settings(self, request: HttpRequest) -> HttpResponseBase:
        context = {
            **self.each_context(request),
            "title": _("Your settings"),
            "explanation": _("Visits are always shown in the time zone of their exhibition."),
            "button": _("Save"),
        }
        return SettingsView.as_view(extra_context=context)(request)

    def confirm_password(self, request: HttpRequest) -> HttpResponseBase:
        context = {
            **self.each_context(request),
            "title": _("Confirm your password"),
            "explanation": _("The next page is sensitive. Please enter your password again."),
            "button": _("Continue"),
        }
        return ConfirmPasswordView.as_view(extra_context=context)(request)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [
            path("login/code/", self.login_code, name="login_code"),
            path("login/setup/", self.login_setup, name="login_setup"),
            path("confirm_password/", self.admin_view(self.confirm_password), name="confirm_password"),
            path("settings/", self.admin_view(self.settings), name="settings"),
            path("two_factor/", self.sensitive_view(setup.show), name="two_factor"),
            path("two_factor/setup/", self.sensitive_view(setup.set_up), name="two_factor_setup"),
            path("two_factor/codes/", self.sensitive_view(setup.renew_codes), name="two_factor_codes"),
            path("two_factor/off/", self.sensitive_view(setup.turn_off), name="two_factor_off"),
            *super().get_urls(),
        ]

    def sensitive_view(self, view: Callable[[HttpRequest, dict[str, Any]], HttpResponse]) -> Any:
        """For a view that takes the admin's context."""

        @sessions.recent_password_required
        def with_context(request: HttpRequest) -> HttpResponse:
            return view(request, self.each_context(request))

        return self.admin_view(with_context)


class ConfirmPasswordView(RedirectURLMixin, FormView):  # type: ignore[type-arg]
    template_name = "accounts/form.html"
    next_page = "admin:index"

    def get_form(self, form_class: Any = None) -> ConfirmPasswordForm:
        return ConfirmPasswordForm(self.request, **self.get_form_kwargs())

    def form_valid(self, form: Any) -> HttpResponse:
        sessions.confirm(self.request)
        return super().form_valid(form)

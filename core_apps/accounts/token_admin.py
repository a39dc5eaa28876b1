"""The admin of API tokens. A token itself gives no access to the admin."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core_apps.accounts.models import ApiToken
from core_apps.accounts.scopes import Scope
from core_apps.accounts.sessions import recent_password_required
from core_apps.common.visibility import VisibleRows

DEFAULT_DAYS, MAX_DAYS = 90, 365


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=Scope.choices,
        initial=[Scope.READ],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What the token allows, within your own permissions."),
    )
    days = forms.IntegerField(
        label=_("Valid for (days)"),
        min_value=1,
        max_value=MAX_DAYS,
        initial=DEFAULT_DAYS,
        help_text=_("Up to a year. Then create a new token."),
    )

    class Meta:
        model = ApiToken
        fields = ("name", "scopes")


@admin.register(ApiToken)
class ApiTokenAdmin(VisibleRows, admin.ModelAdmin):  # type: ignore[type-arg]
    """Users see and revoke their own tokens, or all if they can change users. Tokens are never changed."""

    form = ApiTokenForm
    list_display = ("name", "prefix", "user", "format_scopes", "created", "expiry", "last_used_at")
    list_select_related = ("user",)
    detail_fields = ("name", "prefix", "user", "format_scopes", "created", "expiry", "last_used_at")
    form_fields = ("name", "scopes", "days")

    @admin.display(description=_("scopes"))
    def format_scopes(self, token: ApiToken) -> str:
        return ", ".join(str(Scope(scope).label) for scope in token.scopes)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.detail_fields if obj else self.form_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.detail_fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> Any:
        """Disables bulk deletion, which skips the confirmation of each token."""
        return {}

    @method_decorator(recent_password_required)
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With one save button: the others would not show the token."""
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, buttons | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.plain = obj.set_token()
        obj.user = request.user
        obj.expiry = timezone.now() + timedelta(days=form.cleaned_data["days"])
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Shows the token in the response: a message would put it into a cookie, a URL into logs."""
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Your new API token"),
            "opts": self.opts,
            "row": obj,
            "address": request.build_absolute_uri("/api/v1/"),
        }
        return TemplateResponse(request, "accounts/new_token.html", context)

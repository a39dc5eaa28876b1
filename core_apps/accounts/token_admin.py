"""Where a person makes API tokens and revokes them; a token itself opens no page."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core_apps.accounts.models import ApiToken
from core_apps.accounts.scopes import Scope
from core_apps.common.visibility import VisibleRows

USUAL_DAYS, MOST_DAYS = 90, 365


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        choices=Scope.choices,
        initial=[Scope.READ],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What it may do at most; within this, your own rights hold."),
    )
    days = forms.IntegerField(
        label=_("Valid for (days)"),
        min_value=1,
        max_value=MOST_DAYS,
        initial=USUAL_DAYS,
        help_text=_("Up to a year. Then it stops, and you make another."),
    )

    class Meta:
        model = ApiToken
        fields = ("name", "scopes")


@admin.register(ApiToken)
class ApiTokenAdmin(VisibleRows, admin.ModelAdmin):  # type: ignore[type-arg]
    """One's own; whoever may change users sees and revokes everybody's. None is changed, and none is shown again."""

    form = ApiTokenForm
    list_display = ("name", "prefix", "user", "scope_names", "created", "expiry", "last_used_at")
    list_select_related = ("user",)
    shown = ("name", "prefix", "user", "scope_names", "created", "expiry", "last_used_at")
    asked = ("name", "scopes", "days")

    @admin.display(description=_("scopes"))
    def scope_names(self, token: ApiToken) -> str:
        return ", ".join(str(Scope(scope).label) for scope in token.scopes)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown if obj else self.asked

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.shown if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> Any:
        """None: revoking many at once would ask about none of them."""
        return {}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With one button: where the others lead to is not where the token is shown."""
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, buttons | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.plain = obj.set_token()
        obj.user = request.user
        obj.expiry = timezone.now() + timedelta(days=form.cleaned_data["days"])
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The page itself shows the token: a message would keep it in a cookie, an address in logs."""
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Your new API token"),
            "opts": self.opts,
            "token": obj,
            "address": request.build_absolute_uri("/api/v1/"),
        }
        return TemplateResponse(request, "accounts/token_made.html", context)

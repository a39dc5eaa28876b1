"""Forms that ask for the password of somebody who is logged in."""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core_apps.accounts.guesses import check_password
from core_apps.accounts.models import ApiToken, User

PASSWORD_INPUT = forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True})


class ConfirmPasswordForm(forms.Form):
    password = forms.CharField(label=_("Password"), strip=False, widget=PASSWORD_INPUT)

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)

    def clean_password(self) -> str:
        return check_field(self.request, self.cleaned_data["password"])


class OwnPasswordForm(AdminPasswordChangeForm):
    """Django's form for the password of one's own, with the limit of guesses and the end of one's API tokens."""

    end_tokens = forms.BooleanField(required=False, initial=True)

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)
        count = ApiToken.objects.filter(user=self.user.pk).count()
        text = ngettext("Also end my API token", "Also end my %(count)d API tokens", count)
        self.fields["end_tokens"].label = text % {"count": count}
        if not count:
            del self.fields["end_tokens"]

    def clean_old_password(self) -> str:
        return check_field(self.request, self.cleaned_data["old_password"])

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data.get("end_tokens"):
            ApiToken.objects.filter(user=self.user.pk).delete()
        return super().save(commit)


def check_field(request: HttpRequest, password: str) -> str:
    user = request.user
    if not isinstance(user, User) or not check_password(request, user, password):
        raise forms.ValidationError(_("The password is wrong."), code="password_incorrect")
    return password

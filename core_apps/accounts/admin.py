from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.text import format_lazy
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from core_apps.accounts.background import send_invitation
from core_apps.accounts.models import User
from core_apps.accounts.sessions import recent_password_required
from core_apps.accounts.token_admin import ApiTokenAdmin
from core_apps.accounts.two_factor.devices import has_device, remove_devices
from core_apps.common.visibility import VisibleRows
from core_apps.tasks.mail import DUMMY

__all__ = ["ApiTokenAdmin", "GroupAdmin", "UserAdmin"]


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email", "name")
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {}


class PasswordChangeForm(AdminPasswordChangeForm):  # type: ignore[type-arg]
    """Its warning is translated, and no list, which is invalid within the paragraph of a help text."""

    usable_password_help_text: Any = format_lazy(
        '{} <strong id="id_unusable_warning" class="messagelist">{}</strong>',
        AdminUserCreationForm.usable_password_help_text,
        _("If disabled, the current password of this user is lost."),
    )


class ConfirmedChanges(admin.ModelAdmin):  # type: ignore[type-arg]
    """Asks for the password again before anything is changed; who may only look is not asked."""

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        view: Any = super().changeform_view
        if object_id is None or self.has_change_permission(request):
            view = recent_password_required(view)
        return view(request, object_id, *args, **kwargs)

    @method_decorator(recent_password_required)
    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().delete_view(request, *args, **kwargs)


# Secrets are not for administrators; UserAdmin removes the devices of somebody who lost them.
admin.site.unregister([Group, StaticDevice, TOTPDevice])


@admin.register(Group)
class GroupAdmin(ConfirmedChanges, DjangoGroupAdmin):
    """Django's GroupAdmin, which gives permissions to roles."""


@admin.register(User)
@method_decorator(recent_password_required, name="user_change_password")
class UserAdmin(VisibleRows, ConfirmedChanges, DjangoUserAdmin):  # type: ignore[type-arg]
    """Django's UserAdmin with the e-mail address as user name, and without privilege escalation.

    Users who can edit users assign roles; only superusers create and edit superusers or assign single permissions.
    """

    add_form = UserCreationForm
    change_password_form = PasswordChangeForm
    change_form_template = "accounts/user_change_form.html"
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("email", "name", "password", "time_zone", "language", "daily_digest")}),
        (_("Permissions"), {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    colleague_fieldsets = ((None, {"fields": ("email", "name", "is_active")}),)
    readonly_fields = ("last_login", "date_joined")
    superuser_fields = ("is_superuser", "user_permissions")
    list_display = ("email", "name", "is_staff", "is_active", "last_login")
    list_filter = ("is_staff", "is_active", "groups")
    search_fields = ("email", "name")
    ordering = ("email",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj and not self.has_change_permission(request, obj):
            return self.colleague_fieldsets
        return super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if is_superuser(request) else (*self.readonly_fields, *self.superuser_fields)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (is_superuser(request) or not (obj and obj.is_superuser))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (is_superuser(request) or not (obj and obj.is_superuser))

    def get_urls(self) -> list[URLPattern]:
        remove, invite = map(self.admin_site.admin_view, (self.remove_two_factor, self.invite))
        return [
            path("<int:pk>/remove_two_factor/", remove, name="remove_two_factor"),
            path("<int:pk>/invite/", invite, name="invite"),
            *super().get_urls(),
        ]

    def get_changeable(self, request: HttpRequest, pk: int) -> User:
        person: User = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, person):
            raise PermissionDenied
        return person

    def confirm(self, request: HttpRequest, title: Any, explanation: str) -> HttpResponse:
        context = self.admin_site.each_context(request) | {"title": title, "explanation": explanation}
        return render(request, "accounts/confirm.html", context)

    def show_person(self, pk: int) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:accounts_user_change", args=[pk]))

    @method_decorator(recent_password_required)
    def invite(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For somebody who has never logged in."""
        person = self.get_changeable(request, pk)
        if request.method == "POST":
            send_invitation.enqueue(user=pk, language=get_language())
            self.log_change(request, person, gettext("Sent an invitation."))
            text = gettext("An invitation is on its way to %s.") % person.email
            self.message_user(request, text, messages.SUCCESS)
            return self.show_person(pk)
        explanation = gettext("%s gets a link for choosing a password, which works for three days.") % person
        return self.confirm(request, _("Invite by e-mail"), explanation)

    @method_decorator(recent_password_required)
    def remove_two_factor(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For somebody who has lost the device and the recovery codes."""
        person, user = self.get_changeable(request, pk), request.user
        if request.method == "POST" and isinstance(user, User):
            remove_devices(person, by=user)
            self.log_change(request, person, gettext("Removed two-factor authentication."))
            return self.show_person(pk)
        explanation = gettext(
            "%s then logs in with the password alone, or sets up a new device where the role requires one. "
            "Make sure that the request is really theirs."
        )
        return self.confirm(request, _("Remove two-factor authentication"), explanation % person)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        person = kwargs.get("obj")
        context["has_two_factor"] = bool(person and has_device(person))
        can_send = settings.EMAIL_BACKEND != DUMMY
        context["may_be_invited"] = person and person.is_active and person.last_login is None and can_send
        return super().render_change_form(request, context, *args, **kwargs)

    def get_actions(self, request: HttpRequest) -> Any:
        """Disables bulk deletion, which skips the confirmation of each user."""
        return {}


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))

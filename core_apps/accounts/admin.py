from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core_apps.accounts.models import User
from core_apps.accounts.token_admin import ApiTokenAdmin
from core_apps.common.visibility import VisibleRows

__all__ = ["ApiTokenAdmin", "UserAdmin"]


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email", "name")
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {}


@admin.register(User)
class UserAdmin(VisibleRows, DjangoUserAdmin):  # type: ignore[type-arg]
    """Django's UserAdmin with the e-mail address as user name, and without privilege escalation.

    Users who can edit users assign roles; only superusers create and edit superusers or assign single permissions.
    """

    add_form = UserCreationForm
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
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

    def get_actions(self, request: HttpRequest) -> Any:
        """Disables bulk deletion, which skips the confirmation of each user."""
        return {}


def is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))

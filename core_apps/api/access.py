"""Permissions of the API: Django's, as in the admin; the scopes of a token narrow them."""

from collections.abc import Collection
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core_apps.accounts.scopes import Scope

READ, WRITE, DELETE, CAPTURE = Scope.READ, Scope.WRITE, Scope.DELETE, Scope.CAPTURE

PERMISSION_ACTIONS = {
    "GET": "view",
    "HEAD": "view",
    "POST": "add",
    "PUT": "change",
    "PATCH": "change",
    "DELETE": "delete",
}
SCOPES = {"GET": READ, "HEAD": READ, "POST": WRITE, "PUT": WRITE, "PATCH": WRITE, "DELETE": DELETE}


class RolePermission(BasePermission):
    """For views with a `model`; they override `permission_actions` and `token_scopes` to require others per method.

    The queryset of the view hides rows that the user may not see.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """False, which is a 401, without authentication. Raises PermissionDenied, naming what is missing."""
        user = request.user
        if not (user and user.is_authenticated):
            return False
        check_scope(request, view)
        required = get_required_permission(request, view)
        if not (user.is_staff and (required is None or user.has_perm(required))):
            raise PermissionDenied(_("Your role does not allow this. Ask an administrator."))
        return True


def get_required_permission(request: Request, view: Any) -> str | None:
    """None for a method that the view does not support."""
    action = (getattr(view, "permission_actions", None) or PERMISSION_ACTIONS).get(str(request.method))
    opts = view.model._meta
    return action and f"{opts.app_label}.{action}_{opts.model_name}"


def get_scopes(request: Request) -> Collection[str] | None:
    """Those of the token; None for a session, which has no limit by scope."""
    scopes: Collection[str] | None = getattr(request.auth, "scopes", None)
    return scopes


def may_read(request: Request) -> bool:
    """False for a token that may write only."""
    scopes = get_scopes(request)
    return scopes is None or READ in scopes


def check_scope(request: Request, view: Any) -> None:
    """Raises PermissionDenied."""
    scopes = get_scopes(request)
    required = (getattr(view, "token_scopes", None) or SCOPES).get(str(request.method))
    if scopes is not None and required and required not in scopes:
        raise PermissionDenied(_("This token lacks the “%(scope)s” scope.") % {"scope": required})

"""Who may do what: Django's permissions as in the admin, which a token's scopes narrow."""

from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core_apps.accounts.scopes import Scope

READ, WRITE, DELETE, CAPTURE = Scope.READ, Scope.WRITE, Scope.DELETE, Scope.CAPTURE

NEEDED = {"GET": "view", "HEAD": "view", "POST": "add", "PUT": "change", "PATCH": "change", "DELETE": "delete"}
SCOPES = {"GET": READ, "HEAD": READ, "POST": WRITE, "PUT": WRITE, "PATCH": WRITE, "DELETE": DELETE}


class RolePermission(BasePermission):
    """For views with a `model`; their `needed` and `scope_names` change what a method asks for.

    A row that the person does not see is not found, which is the queryset's part.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Raises PermissionDenied that names what is missing; False is a 401 for whoever has not said who they are."""
        user = request.user
        if not (user and user.is_authenticated):
            return False
        refuse_scope(request, view)
        wanted = needed_permission(request, view)
        if not (user.is_staff and (wanted is None or user.has_perm(wanted))):
            raise PermissionDenied(_("You have no right to do this. Ask an administrator."))
        return True


def needed_permission(request: Request, view: Any) -> str | None:
    """None for a method that the view does not have anyway."""
    action = (getattr(view, "needed", None) or NEEDED).get(str(request.method))
    opts = view.model._meta
    return action and f"{opts.app_label}.{action}_{opts.model_name}"


def refuse_scope(request: Request, view: Any) -> None:
    """Raises PermissionDenied. `request.auth` is the token; a session has none, and every scope."""
    scopes = getattr(request.auth, "scopes", None)
    wanted = (getattr(view, "scope_names", None) or SCOPES).get(str(request.method))
    if scopes is not None and wanted and wanted not in scopes:
        raise PermissionDenied(_("This token has not the scope “%(scope)s”.") % {"scope": wanted})

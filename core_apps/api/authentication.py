"""Authentication by API token, from the cache or by one query.

Cached tokens are valid until the next write (core_apps.cache.versioned_cache), so revoking a token, removing a
permission or deactivating a user takes effect at once.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.postgres.expressions import ArraySubquery
from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError
from django.db.models import OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from core_apps.accounts.models import ApiToken, User, token_digest
from core_apps.api.throttles import throttle_failure
from core_apps.cache.versioned_cache import get_or_compute_json

logger = logging.getLogger(__name__)

RECORD_INTERVAL = timedelta(minutes=10)
MAX_RECORDED = 10_000
USER_FIELDS = ("id", "is_superuser", "email", "name", "is_staff", "is_active")  # in the order of the columns


@dataclass(frozen=True)
class AuthenticatedToken:
    """The token of a request, as `request.auth`."""

    pk: int
    name: str
    scopes: frozenset[str]


class TokenAuthentication(authentication.TokenAuthentication):
    """`Authorization: Token …`, which a 401 also asks for (RFC 9110 §11.6.1)."""

    def authenticate(self, request: Request) -> Any:
        """None without a token. Raises AuthenticationFailed, or Throttled after too many failures."""
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            throttle_failure(request)
            raise

    def authenticate_credentials(self, key: str) -> Any:
        token = find_token(key)
        if token is None:
            raise AuthenticationFailed(_("This token is not valid: it is unknown, revoked or expired."))
        LAST_USES.record(token["id"])
        name = token.get("name", "")  # blank if the previous version has cached it
        return build_user(token), AuthenticatedToken(token["id"], name, frozenset(token["scopes"]))


def find_token(plain: str) -> dict[str, Any] | None:
    """The token's data; None if it is unknown or expired, or its user is not active."""
    digest = token_digest(plain)
    # The digest is as hard to guess as the token.
    token: dict[str, Any] | None = get_or_compute_json(f"token:{digest}", lambda: load_token(digest))
    is_valid = token and token["user"]["is_active"] and token["expiry"] > timezone.now().timestamp()
    return token if is_valid else None


def load_token(digest: str) -> dict[str, Any] | None:
    """The token with its user and the user's permissions, as JSON values."""
    token = (
        ApiToken.objects.filter(digest=digest).select_related("user").annotate(labels=permissions_subquery()).first()
    )
    if token is None:
        return None
    return {
        "id": token.pk,
        "name": token.name,
        "scopes": token.scopes,
        "expiry": token.expiry.timestamp(),
        "user": {name: getattr(token.user, name) for name in USER_FIELDS},
        "permissions": token.labels,
    }


def permissions_subquery() -> ArraySubquery:
    permissions = Permission.objects.filter(Q(user=OuterRef("user")) | Q(group__user=OuterRef("user"))).order_by()
    label = Concat("content_type__app_label", Value("."), "codename")
    return ArraySubquery(permissions.annotate(label=label).values("label").distinct())


def build_user(token: dict[str, Any]) -> User:
    """A user with the cached columns; the others are deferred."""
    user = User.from_db(DEFAULT_DB_ALIAS, USER_FIELDS, [token["user"][name] for name in USER_FIELDS])
    user._perm_cache = set(token["permissions"])
    return user


class LastUses:
    """Writes when a token was last used, at most every ten minutes for all processes together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded_at: dict[int, float] = {}  # on time.monotonic's clock

    def record(self, token: int) -> None:
        if not self._is_due(token):
            return
        try:
            due_tokens(token).update(last_used_at=timezone.now())
        except (OperationalError, InterfaceError) as error:
            logger.warning("Could not save the last use of a token: %s", str(error).strip())

    def _is_due(self, token: int) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._recorded_at.get(token, float("-inf")) < RECORD_INTERVAL.total_seconds():
                return False
            if len(self._recorded_at) >= MAX_RECORDED:
                self._recorded_at.clear()
            self._recorded_at[token] = now
            return True


def due_tokens(token: int) -> QuerySet[ApiToken]:
    moment = timezone.now() - RECORD_INTERVAL
    return ApiToken.objects.filter(pk=token).filter(Q(last_used_at=None) | Q(last_used_at__lt=moment))


LAST_USES = LastUses()

"""Who shows an API token: known from the cache, or by one query.

What is remembered is valid until anything is written (core_apps.cache.versioned_cache): a token that is revoked, a
right that is taken, or a person who leaves counts at once.
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
from core_apps.api.throttles import refuse_failures
from core_apps.cache.versioned_cache import remembered

logger = logging.getLogger(__name__)

NOTED_EVERY = timedelta(minutes=10)
MOST_NOTED = 10_000
USER_FIELDS = ("id", "is_superuser", "email", "name", "is_staff", "is_active")  # in the order of the columns


@dataclass(frozen=True)
class Shown:
    """The token of a request, as `request.auth`."""

    pk: int
    scopes: frozenset[str]


class TokenAuthentication(authentication.TokenAuthentication):
    """`Authorization: Token …`, by which a 401 answers too (RFC 9110 §11.6.1)."""

    def authenticate(self, request: Request) -> Any:
        """None where other credentials, or none, are shown. Raises AuthenticationFailed; Throttled for too many."""
        try:
            return super().authenticate(request)
        except AuthenticationFailed:
            refuse_failures(request)
            raise

    def authenticate_credentials(self, key: str) -> Any:
        known = known_by(key)
        if known is None:
            raise AuthenticationFailed(_("This token is not valid: it is unknown, revoked or expired."))
        LAST_USES.note(known["id"])
        return user_of(known), Shown(known["id"], frozenset(known["scopes"]))


def known_by(plain: str) -> dict[str, Any] | None:
    """None where the token is unknown, expired, or of somebody who is not active."""
    digest = token_digest(plain)
    # The digest is as hard to guess as the token.
    known: dict[str, Any] | None = remembered(f"token:{digest}", lambda: looked_up(digest))
    is_valid = known and known["user"]["is_active"] and known["expiry"] > timezone.now().timestamp()
    return known if is_valid else None


def looked_up(digest: str) -> dict[str, Any] | None:
    """As JSON has it: the token, whose it is, and what that person may do."""
    token = ApiToken.objects.filter(digest=digest).select_related("user").annotate(may=permissions()).first()
    if token is None:
        return None
    return {
        "id": token.pk,
        "scopes": token.scopes,
        "expiry": token.expiry.timestamp(),
        "user": {name: getattr(token.user, name) for name in USER_FIELDS},
        "permissions": token.may,
    }


def permissions() -> ArraySubquery:
    theirs = Permission.objects.filter(Q(user=OuterRef("user")) | Q(group__user=OuterRef("user"))).order_by()
    label = Concat("content_type__app_label", Value("."), "codename")
    return ArraySubquery(theirs.annotate(label=label).values("label").distinct())


def user_of(known: dict[str, Any]) -> User:
    """With what was remembered; the other columns are asked for when they are used, and never overwritten."""
    user = User.from_db(DEFAULT_DB_ALIAS, USER_FIELDS, [known["user"][name] for name in USER_FIELDS])
    user._perm_cache = set(known["permissions"])
    return user


class LastUses:
    """Writes when a token was last used, at most every ten minutes; several processes leave it to one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[int, float] = {}  # on time.monotonic's clock

    def note(self, token: int) -> None:
        if not self._is_due(token):
            return
        try:
            unnoted(token).update(last_used_at=timezone.now())
        except (OperationalError, InterfaceError) as error:
            logger.warning("When a token was used could not be written: %s", str(error).strip())

    def _is_due(self, token: int) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(token, float("-inf")) < NOTED_EVERY.total_seconds():
                return False
            if len(self._noted) >= MOST_NOTED:
                self._noted.clear()
            self._noted[token] = now
            return True


def unnoted(token: int) -> QuerySet[ApiToken]:
    moment = timezone.now() - NOTED_EVERY
    return ApiToken.objects.filter(pk=token).filter(Q(last_used_at=None) | Q(last_used_at__lt=moment))


LAST_USES = LastUses()

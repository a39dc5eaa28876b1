"""Who shows an API token: known from the cache, or by one query.

What is remembered is valid until anything is written (core_apps.common.versioned_cache): a token that is revoked, a
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
from knox.crypto import hash_token
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from core_apps.accounts.models import ApiToken, User
from core_apps.common.rest.throttles import refuse_failures
from core_apps.common.versioned_cache import key_of, remembered

logger = logging.getLogger(__name__)

KEYWORD = "Token"
LONGEST = 200  # characters; ours have 64
NOTED_EVERY = timedelta(minutes=10)
MOST_NOTED = 10_000
USER_FIELDS = ("id", "is_superuser", "email", "name", "is_staff", "is_active")  # in the order of the columns


@dataclass(frozen=True)
class Shown:
    """The token of a request, as `request.auth`."""

    pk: int
    scopes: frozenset[str]


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Token …`; 401 says so (RFC 9110 §11.6.1)."""

    def authenticate(self, request: Request) -> tuple[User, Shown] | None:
        """None where another kind of credentials, or none, is shown. Raises AuthenticationFailed, or Throttled."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != KEYWORD.lower().encode():
            return None
        known = known_by(words[1:])
        if known is None:
            refuse_failures(request)
            raise AuthenticationFailed(_("This token is not valid: it is unknown, revoked or expired."))
        LAST_USES.note(known["id"])
        return user_of(known), Shown(known["id"], frozenset(known["scopes"]))

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD


def known_by(words: list[bytes]) -> dict[str, Any] | None:
    """None where the token is unknown, expired, or of somebody who is not active."""
    if len(words) != 1 or len(words[0]) > LONGEST or not words[0].isascii():
        return None
    digest = hash_token(words[0].decode())
    known: dict[str, Any] | None = remembered(key_of("token", digest), lambda: looked_up(digest))
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
    tokens: QuerySet[ApiToken] = ApiToken.objects.filter(pk=token)
    return tokens.filter(Q(last_used_at=None) | Q(last_used_at__lt=moment))


LAST_USES = LastUses()

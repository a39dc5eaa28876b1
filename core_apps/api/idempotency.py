"""A POST that is sent again makes nothing again (draft-ietf-httpapi-idempotency-key-header-07).

The key's row is the first of the transaction that makes the other row: of several sendings at a time one inserts it and
the others wait for its commit, or make the row themselves when it is rolled back.
"""

import hashlib
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from core_apps.api.models import IdempotencyKey
from core_apps.api.refusals import Unprocessable

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
WELL_FORMED = re.compile(r"[!-~]{1,255}")
KEPT = timedelta(hours=24)
MOST_FORGOTTEN = 100  # rows, with each new key: more than come, and few enough for a request


def receipt_for(request: Request) -> IdempotencyKey | None:
    """The receipt of this request, without a `public_id` where it is the first; None where it has no key.

    Raises ParseError for a malformed key, Unprocessable for one that was used for something else.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not WELL_FORMED.fullmatch(key):
        raise ParseError(_("Idempotency-Key is not 1 to 255 visible characters of ASCII."))
    keys: Any = IdempotencyKey.objects
    fingerprint = fingerprint_of(request)
    receipt: IdempotencyKey
    receipt, is_new = keys.get_or_create(user_id=request.user.pk, key=key, defaults={"fingerprint": fingerprint})
    if receipt.fingerprint != fingerprint:
        raise Unprocessable(_("This Idempotency-Key was used for another request: take a new one."))
    if is_new:
        forget_old()
    return receipt


def keep(receipt: IdempotencyKey | None, public_id: UUID) -> None:
    if receipt:
        receipt.public_id = public_id
        receipt.save(update_fields=("public_id",))


def fingerprint_of(request: Request) -> str:
    """Of all that says what is to be made; the same text in another order of keys is another request."""
    words = (str(request.method).encode(), request.get_full_path().encode(), request.body)
    return hashlib.sha256(b"\n".join(words)).hexdigest()


def forget_old() -> None:
    """A few in passing; those that another request is forgetting are left to it."""
    old = IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT).order_by("created_at")
    some = old.select_for_update(skip_locked=True).values("pk")[:MOST_FORGOTTEN]
    IdempotencyKey.objects.filter(pk__in=some).delete()

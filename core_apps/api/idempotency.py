"""Idempotency-Key: a repeated POST creates nothing twice (draft-ietf-httpapi-idempotency-key-header-07).

The transaction inserts the key's row first: of several concurrent requests one inserts it, and the others wait for its
commit, or create the resource themselves if it is rolled back.
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

from core_apps.api.exceptions import UnprocessableError
from core_apps.api.models import IdempotencyKey

HEADER, REPLAYED = "Idempotency-Key", "Idempotency-Replayed"
WELL_FORMED = re.compile(r"[!-~]{1,255}")
RETENTION = timedelta(hours=24)
MAX_DELETED = 100  # rows, with each new key: faster than they arrive, and cheap enough for a request


def get_receipt(request: Request) -> IdempotencyKey | None:
    """The receipt of this request, without `public_id` if the key is new; None without a key.

    Raises ParseError for a malformed key, UnprocessableError for one that was used for another request.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not WELL_FORMED.fullmatch(key):
        raise ParseError(_("Idempotency-Key must be 1 to 255 visible ASCII characters."))
    keys: Any = IdempotencyKey.objects
    fingerprint = compute_fingerprint(request)
    receipt: IdempotencyKey
    receipt, is_new = keys.get_or_create(user_id=request.user.pk, key=key, defaults={"fingerprint": fingerprint})
    if receipt.fingerprint != fingerprint:
        raise UnprocessableError(_("This Idempotency-Key was used for another request. Use a new one."))
    if is_new:
        delete_expired()
    return receipt


def save_result(receipt: IdempotencyKey | None, public_id: UUID) -> None:
    if receipt:
        receipt.public_id = public_id
        receipt.save(update_fields=("public_id",))


def compute_fingerprint(request: Request) -> str:
    """The hash of method, URL and body; the order of JSON keys matters."""
    words = (str(request.method).encode(), request.get_full_path().encode(), request.body)
    return hashlib.sha256(b"\n".join(words)).hexdigest()


def delete_expired() -> None:
    """Deletes a few expired keys; rows that another request is deleting are skipped."""
    old = IdempotencyKey.objects.filter(created_at__lt=timezone.now() - RETENTION).order_by("created_at")
    some = old.select_for_update(skip_locked=True).values("pk")[:MAX_DELETED]
    IdempotencyKey.objects.filter(pk__in=some).delete()

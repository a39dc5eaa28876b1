"""Who has unsubscribed: stored as a keyed hash of the address, which remains when the person's data is erased."""

from typing import Any

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse
from django.utils.crypto import salted_hmac

from core_apps.messaging.models import Channel, Purpose, Suppression
from core_apps.tasks.kinds import RetryError

SALT = "core_apps.messaging"


def hash_address(address: str) -> str:
    return salted_hmac(SALT, address.lower(), secret=settings.SUPPRESSION_KEY, algorithm="sha256").hexdigest()


def get_key_id() -> str:
    return hash_address("")[:8]


def check_key() -> None:
    """Raises RetryError if SUPPRESSION_KEY has changed: nobody could tell who has unsubscribed."""
    if Suppression.objects.exclude(key=get_key_id()).exists():
        raise RetryError("SUPPRESSION_KEY is not the key by which people have unsubscribed: docs/messaging.md")


def is_suppressed(address: str, purpose: str) -> bool:
    return Suppression.objects.filter(digest=hash_address(address), purpose=purpose).exists()


def list_unsubscribed(recipient: Any) -> list[str]:
    """The names of the purposes from which the person has unsubscribed, with the channels."""
    return [
        f"{Purpose(purpose).label} ({channel.label})"
        for channel in Channel
        if (address := channel.get_address(recipient))
        for purpose in Suppression.objects.filter(digest=hash_address(address)).values_list("purpose", flat=True)
    ]


def suppress(digest: str, purpose: str) -> None:
    Suppression.objects.get_or_create(digest=digest, purpose=purpose, defaults={"key": get_key_id()})


def suppress_all(address: str) -> None:
    for purpose in Purpose.values:
        suppress(hash_address(address), purpose)


def get_signer() -> Signer:
    return Signer(key=settings.SUPPRESSION_KEY, salt=SALT)


def build_unsubscribe_url(address: str, purpose: str) -> str:
    """The token has no personal data, needs no row, and never expires."""
    token = get_signer().sign_object([hash_address(address), purpose])
    return settings.SITE_URL + reverse("unsubscribe", args=[token])


def read_token(token: str) -> tuple[str, Purpose]:
    """Raises BadSignature, also for a purpose of an earlier version."""
    digest, purpose = get_signer().unsign_object(token)
    if purpose not in Purpose:
        raise BadSignature("unknown purpose")
    return digest, Purpose(purpose)

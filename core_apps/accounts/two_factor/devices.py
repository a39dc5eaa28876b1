"""The second factor: codes of an app (TOTP) or recovery codes, both by django-otp, and the roles that require it."""

import logging
import math
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from core_apps.accounts.models import User

logger = logging.getLogger(__name__)

APP_CODE_LENGTH = 6
RECOVERY_CODES = 10


def has_device(user: User) -> bool:
    return bool(TOTPDevice.objects.filter(user=user, confirmed=True).exists())


def is_required(user: User) -> bool:
    """One of the user's roles requires it. Not has_perm, which is true for every superuser."""
    permission = {"permissions__codename": "require_two_factor", "permissions__content_type__app_label": "accounts"}
    return Group.objects.filter(user=user, **permission).exists()


def check_code(user: User, code: str) -> None:
    """Accepts each code once. Raises ValidationError."""
    code = code.replace(" ", "").lower()
    model = TOTPDevice if len(code) == APP_CODE_LENGTH else StaticDevice
    if not verify(model, {"user": user, "confirmed": True}, code):
        logger.warning("Two-factor authentication of user %d failed.", user.pk)
        raise forms.ValidationError(_("The code is wrong, or has been used already."), code="wrong_code")
    if model is StaticDevice:
        logger.warning("User %d used a recovery code; %d are left.", user.pk, count_recovery_codes(user))


@transaction.atomic
def verify(model: Any, lookup: dict[str, Any], code: str) -> bool:
    """Locks the device, so that of simultaneous requests with one code only one succeeds."""
    device = model.objects.select_for_update().filter(**lookup).first()
    if device is None:
        return False
    allowed, reason = device.verify_is_allowed()
    if not allowed:
        seconds = math.ceil((reason["locked_until"] - timezone.now()).total_seconds())
        text = _("Too many wrong codes. Try again in %(seconds)d seconds.")
        raise forms.ValidationError(text, code="throttled", params={"seconds": seconds})
    return bool(device.verify_token(code))


def prepare_device(user: User) -> Any:
    """The device that is not in use before it has shown its first code."""
    device, _created = TOTPDevice.objects.get_or_create(user=user, confirmed=False)
    return device


def confirm_device(user: User, code: str) -> None:
    """Replaces the user's device by the prepared one. Raises ValidationError."""
    if not verify(TOTPDevice, {"user": user, "confirmed": False}, code.replace(" ", "")):
        raise forms.ValidationError(_("The code is wrong. Check the time of your device."), code="wrong_code")
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user, confirmed=True).delete()
        TOTPDevice.objects.filter(user=user).update(confirmed=True)
    logger.warning("User %d set up two-factor authentication.", user.pk)


@transaction.atomic
def create_recovery_codes(user: User) -> list[str]:
    """Replaces the former ones."""
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user)
    codes = [StaticToken.random_token() for _number in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes


def count_recovery_codes(user: User) -> int:
    return int(StaticToken.objects.filter(device__user=user).count())


@transaction.atomic
def remove_devices(user: User, *, by: User) -> None:
    TOTPDevice.objects.filter(user=user).delete()
    StaticDevice.objects.filter(user=user).delete()
    logger.warning("User %d removed the two-factor authentication of user %d.", by.pk, user.pk)

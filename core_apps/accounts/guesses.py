"""A limit of wrong passwords per account, over all addresses, kept in PostgreSQL.

A device on which somebody has logged in has a count of its own, so that guesses from elsewhere do not keep that person
out ("device cookies" of OWASP).
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import DateTimeField, F, Func, Value
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from core_apps.accounts.models import PasswordGuesses, User

T = TypeVar("T")

LIMIT, WINDOW = 10, timedelta(minutes=15)
# Unknown names are counted like accounts, or the limit would tell them apart. So many counters are the most that are
# stored; that two accounts share one is unlikely and harmless.
COUNTERS = 2**20
DEVICE_AGE = timedelta(days=365)


class TooManyGuessesError(ValidationError):
    """No password is checked for now. A form shows it like an error of its own."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "Too many wrong passwords for this account. Wait %(minutes)d minutes, or use a device on which you have"
                " logged in before."
            ),
            code="too_many_guesses",
            params={"minutes": WINDOW // timedelta(minutes=1)},
        )


class LimitedGuessesBackend(ModelBackend):
    """Django's backend, with the limit. Raises TooManyGuessesError."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        username = username or kwargs.get(User.USERNAME_FIELD)
        if username is None or password is None:
            return None
        name = username
        return limit(request, name, lambda: super(LimitedGuessesBackend, self).authenticate(request, name, password))


def check_password(request: HttpRequest, user: User, password: str) -> bool:
    """For somebody who is logged in. Raises TooManyGuessesError."""
    return limit(request, user.email, lambda: user.check_password(password))


def limit(request: HttpRequest | None, username: str, check: Callable[[], T]) -> T:
    """The result of the check, which counts as a failed guess if it is false.

    Counted before it is made, so that simultaneous guesses do not exceed the limit. Raises TooManyGuessesError.
    """
    counter = find_counter(request, username)
    now = count_guess(counter)
    result = check()
    if result:
        times = Func(F("times"), Value(now, DateTimeField()), function="array_remove")
        PasswordGuesses.objects.filter(counter=counter).update(times=times)
    return result


@transaction.atomic
def count_guess(counter: int) -> datetime:
    PasswordGuesses.objects.bulk_create([PasswordGuesses(counter=counter)], ignore_conflicts=True)
    guesses = PasswordGuesses.objects.select_for_update().get(counter=counter)
    now = timezone.now()
    guesses.times = [time for time in guesses.times if time > now - WINDOW]
    if len(guesses.times) >= LIMIT:
        raise TooManyGuessesError
    guesses.times.append(now)
    guesses.save()
    return now


def find_counter(request: HttpRequest | None, username: str) -> int:
    device = find_device(request, username) if request else None
    return hash_to_counter("device", device) if device else hash_to_counter("account", username.lower())


def hash_to_counter(kind: str, value: str) -> int:
    digest = salted_hmac(f"accounts.guesses.{kind}", value, algorithm="sha256").digest()
    return int.from_bytes(digest[:8]) % COUNTERS


def find_device(request: HttpRequest, username: str) -> str | None:
    return request.get_signed_cookie(device_cookie(username), default=None, max_age=DEVICE_AGE)


def remember_device(request: HttpRequest, response: HttpResponse, username: str) -> None:
    response.set_signed_cookie(
        device_cookie(username),
        find_device(request, username) or secrets.token_urlsafe(16),
        max_age=DEVICE_AGE,
        path="/admin/",
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def device_cookie(username: str) -> str:
    """A name per account, because several people may use a device. The signature covers it."""
    return f"device_{hash_to_counter('account', username.lower())}"

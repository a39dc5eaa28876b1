"""How long a session lasts, and how long a password counts as just entered."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

CONFIRMED_SECONDS = 15 * 60
SEEN, CONFIRMED = "seen_at", "password_confirmed_at"


def start_session(request: HttpRequest, **_kwargs: Any) -> None:
    """Sets an end in absolute time: Django would move it with each change of the session."""
    request.session.set_expiry(timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE))
    request.session[SEEN] = request.session[CONFIRMED] = int(time.time())


class IdleLimitMiddleware:
    """Ends sessions that were idle for SESSION_IDLE_MINUTES.

    The time of the last request is saved once in a tenth of that, so that few requests write to the database.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Without the database the view fails as well, for which there is a page; for a middleware there is none.
        with suppress(InterfaceError, OperationalError):
            if settings.SESSION_COOKIE_NAME in request.COOKIES:
                limit_idle_time(request)
        return self.get_response(request)


def limit_idle_time(request: HttpRequest) -> None:
    limit, now = 60 * settings.SESSION_IDLE_MINUTES, int(time.time())
    seen = request.session.get(SEEN)
    if seen is None:
        return
    if now - seen > limit:
        logout(request)
    elif now - seen > limit / 10:
        request.session[SEEN] = now


def recent_password_required(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view decorator that asks for the password unless it was entered within the last minutes.

    A form that was opened in time may be sent for twice as long, so that its input is not lost.
    """

    @wraps(view)
    def ask(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        limit = CONFIRMED_SECONDS if request.method == "GET" else 2 * CONFIRMED_SECONDS
        if time.time() - request.session.get(CONFIRMED, 0) <= limit:
            return view(request, *args, **kwargs)
        return HttpResponseRedirect(
            f"{reverse('admin:confirm_password')}?{urlencode({'next': request.get_full_path()})}"
        )

    return ask


def confirm(request: HttpRequest) -> None:
    request.session[CONFIRMED] = int(time.time())

"""The request's id and its one line in the log."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from core_apps.operations.logs import request_id
from core_apps.operations.sentry import tag_request

logger = logging.getLogger("access")

# Safe in a header, a log line and a URL, and long enough to be unique.
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,128}", re.ASCII)
# URL arguments that are secrets, such as the token of a password reset.
SECRET_ARGUMENTS = frozenset({"token"})


class RequestLogMiddleware:
    """Takes X-Request-Id when it is well-formed, else makes one; returns it and logs the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not of `request.headers`, which is made from all of META when it is first asked.
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        identifier = given if WELL_FORMED.fullmatch(given) else secrets.token_hex(16)
        started = time.perf_counter()
        token = request_id.set(identifier)
        try:
            tag_request(identifier)
            response = self.get_response(request)
            response["X-Request-Id"] = identifier
            log_request(request, response, time.perf_counter() - started)
            return response
        finally:
            request_id.reset(token)


def log_request(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    path = loggable_path(request)
    milliseconds = round(1000 * seconds, 1)
    logger.info(
        "%s %s %s %s ms",
        request.method,
        path,
        response.status_code,
        milliseconds,
        extra={
            "method": request.method,
            "path": path,
            "status": response.status_code,
            "duration_ms": milliseconds,
            "user_id": user_id(request),
        },
    )


def loggable_path(request: HttpRequest) -> str:
    """The path without its query string and with secret arguments blanked out."""
    for name, value in url_arguments(request).items():
        if name in SECRET_ARGUMENTS:
            return request.path.replace(str(value), "[redacted]")
    return request.path


def url_arguments(request: HttpRequest) -> dict[str, Any]:
    """Those of the view, or of the one that was meant: a slash too few or too many leads to none."""
    if request.resolver_match:
        return request.resolver_match.kwargs
    try:
        return resolve(re.sub("/+", "/", f"{request.path_info}/")).kwargs
    except Resolver404:
        return {}


def user_id(request: HttpRequest) -> str | None:
    """Of an API token, or of a session that has been read; reading it here could fail, and take the answer along."""
    if getattr(request, "auth", None):  # set by the API, with the user in the place of the session's
        return str(request.user.pk)
    session = getattr(request, "session", None)
    return getattr(session, "_session_cache", {}).get(SESSION_KEY)

"""The request id and the access log."""

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
    """Uses a well-formed X-Request-Id, or generates one; returns it and logs the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Not `request.headers`, which is built from all of META on first access.
        header = request.META.get("HTTP_X_REQUEST_ID", "")
        identifier = header if WELL_FORMED.fullmatch(header) else secrets.token_hex(16)
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
    path = get_loggable_path(request)
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
            "user_id": get_user_id(request),
        },
    )


def get_loggable_path(request: HttpRequest) -> str:
    """The path without its query string and with secret arguments blanked out."""
    for name, value in get_url_arguments(request).items():
        if name in SECRET_ARGUMENTS:
            return request.path.replace(str(value), "[redacted]")
    return request.path


def get_url_arguments(request: HttpRequest) -> dict[str, Any]:
    """The arguments of the view, also for a URL with a missing or an extra slash."""
    if request.resolver_match:
        return request.resolver_match.kwargs
    try:
        return resolve(re.sub("/+", "/", f"{request.path_info}/")).kwargs
    except Resolver404:
        return {}


def get_user_id(request: HttpRequest) -> str | None:
    """The user of the API token or of a loaded session; loading it here could fail the response."""
    if getattr(request, "auth", None):  # set by the API, which also sets the user
        return str(request.user.pk)
    session = getattr(request, "session", None)
    return getattr(session, "_session_cache", {}).get(SESSION_KEY)

"""Responses when the database is down or too slow."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from psycopg2 import errorcodes

logger = logging.getLogger(__name__)

RETRY_AFTER = 5  # seconds


@contextmanager
def without_limit() -> Iterator[None]:
    """Disables the statement timeout, which is meant for requests. Use outside of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            cursor.execute("RESET statement_timeout")


class DatabaseAwayMiddleware:
    """Returns 503 for database errors, because the request can be repeated."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OperationalError | InterfaceError):
            return None
        if getattr(error.__cause__, "pgcode", None) == errorcodes.QUERY_CANCELED:
            logger.warning("A query was cancelled after %s s", settings.DATABASE_STATEMENT_TIMEOUT)
            return render(request, "too_slow.html", {"address": request.path}, status=503)
        logger.error("Database error: %s", str(error).strip())
        text = _("The database is not available. Check whether your change was saved, then try again.")
        headers = {"Retry-After": str(RETRY_AFTER)}
        return HttpResponse(f"{text}\n", status=503, content_type="text/plain", headers=headers)

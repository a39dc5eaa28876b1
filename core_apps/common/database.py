"""Keeps a database that says nothing from holding every thread.

PostgreSQL ends a statement that runs too long. One that is paused, or behind a broken network, ends nothing,
and libpq waits for it without a limit; psycopg2 lets us do the waiting.
"""

import logging
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db import connection as default_connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from psycopg2 import extensions

from core_apps.common.breaker import Breaker, ServerAway

logger = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds of silence after which the server is asked whether it is there
ANSWER = 1.0  # seconds that it has for that answer
RETRY_AFTER = 5  # seconds
QUERY_CANCELED = "57014"
BREAKER = Breaker(pause=1, trial=4)  # a trial may wait for the whole DATABASE_CONNECT_TIMEOUT

# PostgreSQL's message formats: the length of the message and the code of an SSLRequest, answered at once by a letter.
SSL_REQUEST = struct.pack("!II", 8, 80877103)


def wait(connection: extensions.connection) -> None:
    """Waits for the server, as psycopg2 asks of its wait callback; raises OperationalError when it is silent."""
    in_transaction = connection.status == extensions.STATUS_BEGIN
    connecting = not in_transaction and connection.status != extensions.STATUS_READY
    try:
        if not in_transaction:  # a commit may be on its way: only its answer tells what became of it
            BREAKER.check()
        while (state := connection.poll()) != extensions.POLL_OK:
            limit = settings.DATABASE_CONNECT_TIMEOUT if connecting else PATIENCE
            if not is_ready(connection, state, limit) and (connecting or is_silent(connection)):
                BREAKER.failed()
                raise psycopg2.OperationalError("the database does not answer")
    except ServerAway as away:
        raise psycopg2.OperationalError("the database did not answer a moment ago") from away
    BREAKER.answered()


def is_ready(connection: extensions.connection, state: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
    return bool(poll.poll(1000 * seconds))


def is_silent(connection: extensions.connection) -> bool:
    """Whether the server leaves even the first question of a new connection unanswered."""
    try:
        with closing(door(connection.info.host, connection.info.port)) as question:
            question.sendall(SSL_REQUEST)
            return not question.recv(1)
    except OSError:
        return True


def door(host: str, port: int) -> socket.socket:
    """A new connection, to the socket where the host is its directory, as libpq has it."""
    if not host.startswith("/"):
        return socket.create_connection((host, port), ANSWER)
    local = socket.socket(socket.AF_UNIX)
    local.settimeout(ANSWER)
    local.connect(f"{host}/.s.PGSQL.{port}")
    return local


@contextmanager
def without_limit() -> Iterator[None]:
    """Statements may take their time: the limit is made for requests. Around a transaction, not inside of it."""
    with default_connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        try:
            yield
        finally:
            cursor.execute("RESET statement_timeout")


def asked_for_too_much(request: HttpRequest) -> HttpResponse:
    """The database is well: it has ended a statement that took longer than DATABASE_STATEMENT_TIMEOUT."""
    logger.warning("A statement was ended after %s s", settings.DATABASE_STATEMENT_TIMEOUT)
    return render(request, "too_slow.html", {"address": request.path}, status=503)


class DatabaseAwayMiddleware:
    """Answers 503 where the database does not: the fault is not the request's, and it can be sent again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OperationalError | InterfaceError):
            return None
        if getattr(error.__cause__, "pgcode", None) == QUERY_CANCELED:
            return asked_for_too_much(request)
        logger.error("The database failed: %s", str(error).strip())
        text = _("The database does not answer at the moment. See whether your change is there, then try again.")
        headers = {"Retry-After": str(RETRY_AFTER)}
        return HttpResponse(f"{text}\n", status=503, content_type="text/plain", headers=headers)

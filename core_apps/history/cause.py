"""Who writes, and by what: sent to PostgreSQL with each statement that writes, for the triggers of the history.

A read sends nothing, and a write needs no second round trip. The setting ends with the transaction.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.db.models import TextChoices
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
SET_CAUSE = "SELECT set_config('history.cause', %s, true); "


class Source(TextChoices):
    ADMIN = "admin", _("Admin")
    API = "api", _("API")
    IMPORT = "import", _("Import")
    REVERT = "revert", _("Import reverted")
    COMMAND = "command", _("Command")
    SQL = "sql", _("Database")


_get_cause: ContextVar[Callable[[], dict[str, Any]] | None] = ContextVar("cause", default=None)


@contextmanager
def caused_by(source: str, detail: str = "", user: int | None = None) -> Iterator[None]:
    """Writes within the block are of this source: an import with the file's name, a command with its own.

    Without a user, they are of the one that the surrounding block or request has.
    """
    cause = {"source": source, "detail": detail, "user": user or get_cause().get("user")}
    token = _get_cause.set(lambda: cause)
    try:
        yield
    finally:
        _get_cause.reset(token)


class CauseMiddleware:
    """Writes of a request are of its user, in the admin or by the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = _get_cause.set(lambda: describe_request(request))
        try:
            return self.get_response(request)
        finally:
            _get_cause.reset(token)


def describe_request(request: Any) -> dict[str, Any]:
    """The cause; of a session only its user's id is read, because loading the user would be another query."""
    auth = getattr(request, "auth", None)  # set by the API, as is the user
    user = request.user.pk if auth else request.session.get(SESSION_KEY)
    is_admin = request.resolver_match is not None and request.resolver_match.namespace == "admin"
    source = Source.ADMIN if is_admin else Source.API
    return {"source": source, "detail": getattr(auth, "name", ""), "user": user}


def get_cause() -> dict[str, Any]:
    get = _get_cause.get()
    return get() if get else {}


def add_wrapper(connection: Any, **_signal: Any) -> None:
    """A receiver of `connection_created`."""
    if send_cause not in connection.execute_wrappers:
        connection.execute_wrappers.append(send_cause)


def send_cause(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """An execute wrapper: puts the cause, or that there is none, before a statement that writes."""
    if isinstance(sql, str) and WRITES.match(sql):
        prefix = context["cursor"].mogrify(SET_CAUSE, [json.dumps(get_cause())]).decode()
        sql = (prefix if params is None else prefix.replace("%", "%%")) + sql
    return execute(sql, params, many, context)

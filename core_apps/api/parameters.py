"""The query string: nothing in it is ignored, because a typo must not return everything."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

TEXT = {"type": "string", "pattern": r"\S"}  # in the schema: `check` refuses what is blank


def refuse(name: str, code: str, text: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(text, code)]})


def check(request: Request, known: Iterable[str], repeatable: Iterable[str] = ()) -> None:
    """Raises ValidationError for what is unknown, blank, given twice, or no text."""
    offered = sorted(known)
    for name, values in request.query_params.lists():
        if name not in offered:
            raise refuse(name, "unknown", _("There is no such parameter here, only: %s.") % ", ".join(offered))
        if len(values) > 1 and name not in repeatable:
            raise refuse(name, "repeated", _("This is given more than once."))
        if any(not value.strip() or "\0" in value for value in values):
            raise refuse(name, "blank", _("This is blank, or no text."))


def whole_number(request: Request, name: str, *, default: int, most: int) -> int:
    """From 1 to `most`. Raises ValidationError."""
    text = request.query_params.get(name, str(default))
    # A row of digits without an end would keep int() busy.
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise refuse(name, "out_of_range", _("Give a whole number from 1 to %(most)s.") % {"most": most})
    return int(text)


def one_of(request: Request, name: str, offered: dict[str, Any]) -> Any:
    """What stands for the chosen word; the first where none is chosen. Raises ValidationError."""
    word = request.query_params.get(name, next(iter(offered)))
    if word not in offered:
        raise refuse(name, "unknown", _("Choose one of: %s.") % ", ".join(offered))
    return offered[word]


def words(request: Request, name: str, offered: Iterable[str]) -> list[str]:
    """A comma-separated list; all that is offered where none is given. Raises ValidationError."""
    offered = list(offered)
    if name not in request.query_params:
        return offered
    chosen = [word.strip() for word in request.query_params[name].split(",")]
    for word in chosen:
        if word not in offered:
            text = _("“%(word)s” is none of: %(offered)s.") % {"word": word, "offered": ", ".join(offered)}
            raise refuse(name, "unknown", text)
    return chosen

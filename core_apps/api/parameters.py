"""The query string. Unknown parameters are errors, because a typo must not return everything."""

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

TEXT = {"type": "string", "pattern": r"\S"}  # in the schema: `check_parameters` refuses what is blank


def build_error(name: str, code: str, text: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(text, code)]})


def check_parameters(request: Request, known: Iterable[str], repeatable: Iterable[str] = ()) -> None:
    """Raises ValidationError for a parameter that is unknown, blank, repeated, or contains NUL."""
    options = sorted(known)
    for name, values in request.query_params.lists():
        if name not in options:
            raise build_error(name, "unknown", _("Unknown parameter. Known ones are: %s.") % ", ".join(options))
        if len(values) > 1 and name not in repeatable:
            raise build_error(name, "repeated", _("Must not be repeated."))
        if any(not value.strip() or "\0" in value for value in values):
            raise build_error(name, "blank", _("Must not be blank."))


def read_integer(request: Request, name: str, *, default: int, most: int) -> int:
    """An integer from 1 to `most`. Raises ValidationError."""
    text = request.query_params.get(name, str(default))
    # int() is slow for very long strings of digits.
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise build_error(name, "out_of_range", _("Must be a whole number from 1 to %(most)s.") % {"most": most})
    return int(text)


def read_choice(request: Request, name: str, options: dict[str, Any]) -> Any:
    """The value of the option that the parameter names; the first by default. Raises ValidationError."""
    word = request.query_params.get(name, next(iter(options)))
    if word not in options:
        raise build_error(name, "unknown", _("Must be one of: %s.") % ", ".join(options))
    return options[word]


def read_list(request: Request, name: str, options: Iterable[str]) -> list[str]:
    """A comma-separated list of options; all of them by default. Raises ValidationError."""
    options = list(options)
    if name not in request.query_params:
        return options
    chosen = [word.strip() for word in request.query_params[name].split(",")]
    for word in chosen:
        if word not in options:
            text = _("“%(word)s” is not one of: %(options)s.") % {"word": word, "options": ", ".join(options)}
            raise build_error(name, "unknown", text)
    return chosen

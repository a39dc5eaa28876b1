"""JSON as RFC 8259 has it, and no text that PostgreSQL refuses."""

import json
from math import isfinite
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

NUL = "\0"


class JSONParser(BaseParser):
    """The framework's takes any encoding that a client names, and any depth."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """UTF-8 alone (RFC 8259 §8.1). Raises ParseError, and RequestDataTooBig above DATA_UPLOAD_MAX_MEMORY_SIZE."""
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise RequestDataTooBig
        try:
            data = json.loads(body.decode(), parse_constant=no_number, parse_float=finite)
            if b"\\u" in body:  # only so can a text hold what is checked here
                check_texts(data)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body is no JSON that can be read: %s") % reason(error)) from None
        return data


def no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else no_number(text)


def check_texts(data: Any) -> None:
    """Raises ValueError for half a character and for NUL, which the database takes in no text."""
    if isinstance(data, str):
        if NUL in data:
            raise ValueError("a text holds the character NUL")
        data.encode()
    elif isinstance(data, dict):
        check_texts([*data, *data.values()])
    elif isinstance(data, list):
        for value in data:
            check_texts(value)


def reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return _("it is nested too deep")
    if isinstance(error, UnicodeError):
        return _("its text is no UTF-8")
    return str(error)

"""A strict JSON parser (RFC 8259), which also rejects text that PostgreSQL cannot store."""

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
    """DRF's own accepts any encoding and any depth."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        """Only UTF-8 (RFC 8259 §8.1). Raises ParseError, or RequestDataTooBig above DATA_UPLOAD_MAX_MEMORY_SIZE."""
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(most + 1)
        if len(body) > most:
            raise RequestDataTooBig
        try:
            data = json.loads(body.decode(), parse_constant=reject_constant, parse_float=parse_finite)
            if b"\\u" in body:  # only escapes can produce what is checked here
                check_texts(data)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body is not valid JSON: %s") % describe_error(error)) from None
        return data


def reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def parse_finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else reject_constant(text)


def check_texts(data: Any) -> None:
    """Raises ValueError for a lone surrogate and for NUL, which PostgreSQL cannot store."""
    if isinstance(data, str):
        if NUL in data:
            raise ValueError("a string contains the NUL character")
        data.encode()
    elif isinstance(data, dict):
        check_texts([*data, *data.values()])
    elif isinstance(data, list):
        for value in data:
            check_texts(value)


def describe_error(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return _("it is nested too deeply")
    if isinstance(error, UnicodeError):
        return _("it is not UTF-8")
    return str(error)

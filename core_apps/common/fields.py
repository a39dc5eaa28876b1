"""Model fields that any project needs."""

import re
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _
from django_countries import countries


class LowercaseEmailField(models.EmailField):  # type: ignore[type-arg]
    """An e-mail address stored in lower case, so that a plain unique index is case-insensitive.

    RFC 5321 allows case-sensitive local parts, but no large provider has them, and people type both.
    """

    def to_python(self, value: Any) -> Any:
        return _lower(super().to_python(value))

    def get_prep_value(self, value: Any) -> Any:
        return _lower(super().get_prep_value(value))


class WebAddressValidator(URLValidator):
    """URLValidator for http and https, with a fast path for plain URLs.

    Django's check costs as much as those of all other fields together, for each row of an import.
    """

    PLAIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}(?:/[!-~]*)?")
    LONGEST_PLAIN = 200  # characters; below Django's limits for URLs and host names

    def __init__(self) -> None:
        super().__init__(schemes=["http", "https"])

    def __call__(self, value: str) -> None:
        if len(value) > self.LONGEST_PLAIN or not self.PLAIN.fullmatch(value):
            super().__call__(value)


class WebAddressField(models.URLField):  # type: ignore[type-arg]
    """An http or https URL; https if no scheme is given."""

    default_validators = [WebAddressValidator()]  # noqa: RUF012 - Django's own attribute

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"assume_scheme": "https"} | kwargs)


class CountryField(models.CharField):  # type: ignore[type-arg]
    """An ISO 3166-1 alpha-2 code, or XK; blank if unknown."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"max_length": 2, "blank": True, "choices": get_country_choices}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        for implied in ("max_length", "blank", "choices"):
            kwargs.pop(implied, None)
        return name, path, args, kwargs

    def validate(self, value: Any, model_instance: models.Model | None) -> None:
        """In constant time; Django compares with all 250 choices for each row of an import."""
        if value not in get_country_names() and value != "":
            raise ValidationError(_("“%(value)s” is not a country code."), params={"value": value})


@cache
def get_country_names(language: str = "en") -> dict[str, str]:
    """Names by code, sorted by name."""
    with override(language):
        return {code: str(name) for code, name in countries}


def get_country_choices() -> list[tuple[str, str]]:
    return list(get_country_names(get_language() or "en").items())


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value

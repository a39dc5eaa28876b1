"""Telephone numbers as people write them, and their one international form."""

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=10_000)  # the same switchboard number returns for each of its people
def e164(number: str, region: str) -> str:
    """The number in E.164 (ITU-T), or blank where it cannot be a telephone number.

    `region` is the ISO 3166-1 code that a number without a country code belongs to; it may be blank.
    """
    try:
        parsed = phonenumbers.parse(number, region or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

"""Normalisation of telephone numbers."""

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=10_000)  # colleagues share the number of their switchboard
def to_e164(number: str, region: str) -> str:
    """Return the number in E.164 format (ITU-T), or a blank string if it is not a valid telephone number.

    `region` is the ISO 3166-1 code for numbers without a country code; it may be blank.
    """
    if number.startswith("00"):
        number = f"+{number[2:]}"  # the prefix that ITU-T E.164 recommends, where no region tells its own
    try:
        parsed = phonenumbers.parse(number, region or None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)

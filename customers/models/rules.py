"""Rules shared by several models, as validators and as conditions of database constraints."""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

COUNTRY = r"^[A-Z]{2}$"
WEB_ADDRESS = r"(?i)^https?://"
# Only what SQL can check; validate_domain is stricter (RFC 1034, RFC 5890).
DOMAIN = r"^[^\s/@:]+\.[^\s/@:]+$"
# A plus sign and at most 15 digits, the first of which is not 0 (ITU-T E.164).
E164 = r"^\+[1-9][0-9]{1,14}$"

validate_domain = DomainNameValidator(message=_("“%(value)s” is not a web domain such as example.com."))

PLAIN_DOMAIN = re.compile(r"(?!www\.|xn--)[a-z0-9-]+(\.(?!xn--)[a-z0-9-]+)+")


def normalise_domain(text: str) -> str:
    """Return the one spelling of a domain: without scheme, www. and path, in lower case, and as its people read it."""
    if not text or PLAIN_DOMAIN.fullmatch(text):
        return text
    host = re.sub(r"^[a-z]+://", "", unicodedata.normalize("NFC", text.strip().lower()))
    host = re.split(r"[/?#]", host, maxsplit=1)[0].rpartition("@")[2]
    host = re.sub(r":\d*$", "", host).rstrip(".")
    if host.startswith("www.") and "." in host[4:]:
        host = host[4:]
    return ".".join(map(decode_label, host.split(".")))


def decode_label(label: str) -> str:
    """Return a label of a domain in Unicode instead of Punycode (RFC 3492)."""
    try:
        decoded = label[4:].encode("ascii").decode("punycode").lower() if label.startswith("xn--") else label
    except UnicodeError:
        return label
    is_word = all(sign == "-" or unicodedata.category(sign)[0] in "LMN" for sign in decoded)
    return decoded if is_word else label


# Bounds of dates and times that people enter: beyond years 1 and 9999, a conversion to local time overflows.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
# A phone's clock may be fast.
MAX_CLOCK_LEAD = timedelta(days=1)


def validate_date(value: datetime | date) -> None:
    """Accept the years 1970 to 2199."""
    if not EARLIEST.year <= value.year < LATEST.year:
        message = _("The year %(year)s is not between 1970 and 2199.")
        raise ValidationError(message, code="date_out_of_range", params={"year": value.year})


def validate_past(moment: datetime) -> None:
    """Accept times from 1970 to now, and of a clock that is up to a day fast."""
    if not EARLIEST <= moment <= timezone.now() + MAX_CLOCK_LEAD:
        message = _("%(moment)s is not between 1970 and now. Check the date, and the clock of the device.")
        raise ValidationError(message, code="date_out_of_range", params={"moment": moment.isoformat(" ", "minutes")})


def is_in_range(field: str) -> Q:
    """Return the condition of validate_date in SQL."""
    return Q(**{f"{field}__gte": EARLIEST, f"{field}__lt": LATEST})


def blank_or_matches(field: str, pattern: str) -> Q:
    return Q(**{field: ""}) | Q(**{f"{field}__regex": pattern})

"""Rules shared by several models, as validators and as conditions of database constraints."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

COUNTRY = r"^[A-Z]{2}$"
WEB_ADDRESS = r"(?i)^https?://"
# Only what SQL can check; validate_domain is stricter (RFC 1034, RFC 5890).
DOMAIN = r"^[^\s/@:]+\.[^\s/@:]+$"
# A plus sign and at most 15 digits, the first of which is not 0 (ITU-T E.164).
E164 = r"^\+[1-9][0-9]{1,14}$"

validate_domain = DomainNameValidator(message=_("“%(value)s” is not a web domain such as example.com."))


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(_("“%(value)s” is not a time zone such as Europe/Berlin."), params={"value": name})


def blank_or_matches(field: str, pattern: str) -> Q:
    return Q(**{field: ""}) | Q(**{f"{field}__regex": pattern})

"""Countries as people and programs write them in English."""

import re
import unicodedata
from functools import cache, lru_cache

from django_countries import countries

from core_apps.common.fields import get_country_names

# Names in use that neither ISO 3166-1 nor its list of former names contains.
COMMON_NAMES = {
    "America": "US",
    "Cape Verde": "CV",
    "Great Britain": "GB",
    "Holy See (Vatican City State)": "VA",
    "UK": "GB",
    "United States": "US",
}
FILLERS = {"the", "of", "and"}


@lru_cache(maxsize=2_000)
def country_code(text: str) -> str:
    """Return the ISO 3166-1 alpha-2 code for a code or an English name; an unknown text is returned unchanged."""
    if text.upper() in get_country_names():
        return text.upper()
    return codes_by_name().get(words(text)) or countries.alpha2(text.upper()) or text


@cache
def codes_by_name() -> dict[frozenset[str], str]:
    names = [(code, name) for code, former in countries.shadowed_names.items() for name in former]
    names += [(code, name) for name, code in COMMON_NAMES.items()]
    names += get_country_names().items()
    return {words(name): code for code, name in names}


def words(name: str) -> frozenset[str]:
    """Return the significant words, equal for “Korea, Republic of” and “Korea (the Republic of)”."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return frozenset(re.findall(r"\w+", plain)) - FILLERS

"""Countries as people and programs write them in English and German."""

import re
import unicodedata
from functools import cache, lru_cache

from django_countries import countries

from core_apps.common.fields import get_country_names

# Names in use that neither ISO 3166-1, its list of former names nor its German translation contains.
COMMON_NAMES = {
    **dict.fromkeys(("America", "United States", "US", "USA", "Amerika", "Vereinigte Staaten"), "US"),
    **dict.fromkeys(("Great Britain", "Britain", "UK", "England", "Scotland", "Wales", "Northern Ireland"), "GB"),
    **dict.fromkeys(("Großbritannien", "Schottland", "Nordirland", "Vereinigtes Königreich"), "GB"),
    **dict.fromkeys(("UAE", "Emirates", "VAE", "Emirate", "Dubai", "Abu Dhabi"), "AE"),
    **dict.fromkeys(("BRD", "Bundesrepublik Deutschland", "Federal Republic of Germany"), "DE"),
    **dict.fromkeys(("Holland", "Nederland"), "NL"),
    **dict.fromkeys(("Czech Republic", "Tschechische Republik", "Tschechei"), "CZ"),
    **dict.fromkeys(("PRC", "PR China", "Peoples Republic of China", "Volksrepublik China", "VR China"), "CN"),
    **dict.fromkeys(("South Korea", "Korea", "Südkorea"), "KR"),
    **dict.fromkeys(("North Korea", "Nordkorea"), "KP"),
    **dict.fromkeys(("Russia", "Russland"), "RU"),
    **dict.fromkeys(("Turkey", "Türkei"), "TR"),
    **dict.fromkeys(("Slovak Republic", "Slowakische Republik"), "SK"),
    **dict.fromkeys(("Burma", "Birma"), "MM"),
    **dict.fromkeys(("Ivory Coast", "Elfenbeinküste"), "CI"),
    **dict.fromkeys(("Holy See (Vatican City State)", "Vatican", "Vatikan"), "VA"),
    **dict.fromkeys(("Hong Kong", "Hongkong"), "HK"),
    **dict.fromkeys(("Macau", "Macao"), "MO"),
    **dict.fromkeys(("Congo", "Kongo"), "CG"),
    **dict.fromkeys(("Macedonia", "Mazedonien"), "MK"),
    **dict.fromkeys(("Belarus", "Weißrussland"), "BY"),
    **dict.fromkeys(("Moldova", "Moldawien"), "MD"),
    "Cape Verde": "CV",
    "Oesterreich": "AT",
    "Swaziland": "SZ",
    "Republic of Ireland": "IE",
    "Palestine": "PS",
}
FILLERS = {"the", "of", "and", "und"}


@lru_cache(maxsize=2_000)
def country_code(text: str) -> str:
    """Return the ISO 3166-1 alpha-2 code for a code or a name; an unknown text is returned unchanged."""
    if text.upper() in get_country_names():
        return text.upper()
    return codes_by_name().get(words(text)) or countries.alpha2(text.upper()) or text


@cache
def codes_by_name() -> dict[frozenset[str], str]:
    names = [(code, name) for code, former in countries.shadowed_names.items() for name in former]
    names += [(code, name) for name, code in COMMON_NAMES.items()]
    names += [*get_country_names("de").items(), *get_country_names().items()]
    return {words(name): code for code, name in names}


def words(name: str) -> frozenset[str]:
    """Return the significant words, equal for “Korea, Republic of” and “Korea (the Republic of)”."""
    letters = unicodedata.normalize("NFKD", re.sub("[.'\u2019]", "", name.casefold()))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return frozenset(re.findall(r"\w+", plain)) - FILLERS

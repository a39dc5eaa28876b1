"""Cells as people and programs fill them, and what a field stores of them.

Each cleaner returns the value to store, and the reason if that is not all that the cell says.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from customers.importing.countries import country_code
from customers.models.rules import normalise_domain

ONE_VALUE: Any = _("There is room for one value, the first.")
DIGITS_LOST: Any = _("A spreadsheet has rounded this number. Format the column as text, and enter the number again.")
NO_DIGITS: Any = _("This is not a phone number.")
WEB_ADDRESS = forms.URLField(assume_scheme="https")

PLAIN_EMAIL = re.compile(r"[\w.+%-]+@[\w.-]+")
EMAIL = re.compile(r"[^\s<>()\[\],;:\"|/?]+@[^\s<>()\[\],;:\"|/?@]+\.[^\s<>()\[\],;:\"|/?@]+")
PLAIN_PHONE = re.compile(r"[+\d][\d ()/.-]*")
ROUNDED = re.compile(r"[+-]?\d+(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
PHONE_SEPARATOR = re.compile(r"\s*(?:[;,|\n]|\s/\s|/\s*(?=\+))\s*")
MIN_DIGITS = 6  # of a number beside another: +49 30 / 901820 is one number

PARTICLES = {
    *("van", "von", "vom", "de", "der", "den", "del", "della", "di", "da", "dos", "du", "la", "le", "ten", "ter"),
    *("zu", "zum", "zur", "af", "av", "bin", "ibn", "el", "al"),
}
TITLES = {"mr", "mrs", "ms", "miss", "mx", "sir", "herr", "frau", "dr", "prof", "ing", "dipl", "mag"}
SUFFIXES = {"jr", "sr", "ii", "iii", "iv", "phd", "md", "mba", "msc", "bsc", "ma", "ba", "dds", "esq", "cpa"}

Cleaner = Callable[[str], tuple[str, str]]


def clean_email(text: str) -> tuple[str, str]:
    if PLAIN_EMAIL.fullmatch(text):
        return text, ""
    text = remove_invisible(text)
    addresses = EMAIL.findall(text.removeprefix("mailto:"))
    several = len({address.casefold() for address in addresses}) > 1
    return (addresses[0].strip(".'") if addresses else text), ONE_VALUE if several else ""


def clean_phone(text: str) -> tuple[str, str]:
    if PLAIN_PHONE.fullmatch(text) and " / " not in text:
        return text, ""
    text = remove_invisible(text)
    text = read_phone_uri(text)
    if ROUNDED.fullmatch(text):
        return "", DIGITS_LOST
    if not any(sign.isdigit() for sign in text):
        return "", NO_DIGITS
    numbers = PHONE_SEPARATOR.split(text)
    if len(numbers) > 1 and all(sum(map(str.isdigit, number)) >= MIN_DIGITS for number in numbers):
        return numbers[0], ONE_VALUE
    return text, ""


def read_phone_uri(text: str) -> str:
    """Return the number of a tel: URI (RFC 3966), and any other text unchanged."""
    if text[:4].lower() != "tel:":
        return text
    return re.sub(r";ext=", " ext. ", text[4:], flags=re.IGNORECASE)


def clean_website(text: str) -> tuple[str, str]:
    """Like the form, which adds https:// where it is missing."""
    first, *others = re.split(r"[;,]?\s+", text)
    reason = ONE_VALUE if others else ""
    if first[:8].lower().startswith(("http://", "https://")):
        return first, reason
    try:
        return str(WEB_ADDRESS.to_python(first)), reason
    except ValidationError:
        return first, reason


def remove_invisible(text: str) -> str:
    """Remove the marks of direction and width that come with a value copied from a page."""
    return "".join(sign for sign in text if unicodedata.category(sign) != "Cf").strip()


@lru_cache(maxsize=10_000)
def split_name(text: str) -> tuple[str, str]:
    """Return given and family name; a single word is a family name."""
    before, _, after = (part.strip() for part in text.partition(","))
    words = [word for word in before.split() if plain(word) not in TITLES] or before.split()
    if after and not all(plain(word) in SUFFIXES for word in re.split(r"[\s,]+", after)):
        return after, " ".join(words)
    while len(words) > 2 and plain(words[-1]) in SUFFIXES:
        words.pop()
    start = next((index for index, word in enumerate(words[1:-1], 1) if word in PARTICLES), len(words) - 1)
    return " ".join(words[:start]), " ".join(words[start:])


def plain(word: str) -> str:
    return word.replace(".", "").casefold()


CLEANERS: Mapping[str, Cleaner] = {
    "email": clean_email,
    "phone": clean_phone,
    "website": clean_website,
    "domain": lambda text: (normalise_domain(text), ""),
    "country": lambda text: (country_code(text), ""),
    "stage": lambda text: (text.lower(), ""),
}

"""Text search without regard to case and accents: one database function for both sides."""

import re
from itertools import groupby
from typing import Any

from django.db import models
from django.db.models import Func, Lookup, Q, Value

# More words would not improve a search.
MAX_WORDS = 8
# Characters in a row that a trigram index needs (https://www.postgresql.org/docs/current/pgtrgm.html).
TRIGRAM = 3
PHONE = re.compile(r"[+(]*\d[\d\s()./\u2010-\u2013-]*")
SHORTEST_PHONE = 5  # digits; 24/7 is a name
WILDCARD = re.compile(r"([\\%_])")
# Characters that `unaccent` turns into wildcards.
WIDE = str.maketrans("\uff05\uff3f\uff3c", "%_\\", "\0")


class Unaccent(Func):
    """The SQL function `folded`: upper case, without accents (this app's first migration)."""

    function = "folded"
    output_field = models.TextField()


@models.CharField.register_lookup
@models.TextField.register_lookup
class Like(Lookup):
    """SQL's LIKE on the bare column: Django's case-insensitive lookups wrap it in UPPER, so no index matches."""

    lookup_name = "like"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_parameters = self.process_lhs(compiler, connection)
        right, right_parameters = self.process_rhs(compiler, connection)
        return f"{left} LIKE {right}", (*left_parameters, *right_parameters)


def matching(text: str, column: str = "search_text") -> Q | None:
    """Rows whose column contains all words of the text, or its phone number; None if the text has no words.

    A word of one or two letters matches only the beginning of words, because a trigram index has no shorter parts.
    """
    patterns = [build_pattern(word) for word in split_words(text)]
    if not patterns:
        return None
    return Q(*(Q((f"{column}__like", Unaccent(Value(pattern)))) for pattern in patterns))


def split_words(text: str) -> list[str]:
    """The words to search for, without commas; a phone number in any format becomes one word of digits."""
    words: list[str] = []
    for is_numeric, some in groupby(
        text.translate(WIDE).replace(",", " ").split(), key=lambda word: bool(PHONE.fullmatch(word))
    ):
        parts = list(some)
        number = extract_digits(" ".join(parts)) if is_numeric else ""
        words += [number] if len(number) >= SHORTEST_PHONE else map(normalize_word, parts)
    return [word for word in words if any(map(str.isalnum, word))][:MAX_WORDS]


def normalize_word(word: str) -> str:
    """The word; if it may be the beginning of a phone number, its digits as they are stored."""
    if word.startswith("+") and word[1:].isdecimal():
        return word[1:]
    return extract_digits(word) if word.isdecimal() and len(extract_digits(word)) >= TRIGRAM else word


def extract_digits(number: str) -> str:
    """Digits without the national prefix: (0) and leading zeros."""
    return re.sub(r"\D", "", number.replace("(0)", "")).lstrip("0")


def build_pattern(word: str) -> str:
    longest = max(len(part) for part in re.findall(r"[^\W_]+", word))
    escaped = WILDCARD.sub(r"\\\1", word)
    return f"%{escaped}%" if longest >= TRIGRAM else f"% {escaped}%"

"""Text as people search for it: upper case, without accents, by one function of the database for both sides."""

import re
from itertools import groupby
from typing import Any

from django.db import models
from django.db.models import Func, Lookup, Q, Value

# More would be a longer query, and no better a search.
MOST_WORDS = 8
# What a trigram index needs in a row to look anything up (https://www.postgresql.org/docs/current/pgtrgm.html).
TRIGRAM = 3
PHONE = re.compile(r"[+(]*\d[\d\s()./\u2010-\u2013-]*")
SHORTEST_PHONE = 5  # digits; 24/7 is a name
WILDCARD = re.compile(r"([\\%_])")
# What `unaccent` makes wildcards of.
WIDE = str.maketrans("\uff05\uff3f\uff3c", "%_\\", "\0")


class Folded(Func):
    """The SQL function `folded`: upper case, without accents (this app's first migration)."""

    function = "folded"
    output_field = models.TextField()


@models.CharField.register_lookup
@models.TextField.register_lookup
class Like(Lookup):
    """SQL's own LIKE, on the column as it is: Django's lookups change its case, and an index of it is of no use."""

    lookup_name = "like"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_parameters = self.process_lhs(compiler, connection)
        right, right_parameters = self.process_rhs(compiler, connection)
        return f"{left} LIKE {right}", (*left_parameters, *right_parameters)


def matching(text: str, column: str = "search_text") -> Q | None:
    """Rows whose folded column has each word of the text, or its phone number; None where it has nothing to look for.

    A word of one or two letters is looked for where words begin, for an index of trigrams knows no shorter parts.
    """
    patterns = [pattern_of(word) for word in words_of(text)]
    if not patterns:
        return None
    return Q(*(Q((f"{column}__like", Folded(Value(pattern)))) for pattern in patterns))


def words_of(text: str) -> list[str]:
    """What is looked for; a phone number is one word of digits, however it is spelled and wherever it stands."""
    words: list[str] = []
    for is_numeric, some in groupby(text.translate(WIDE).split(), key=lambda word: bool(PHONE.fullmatch(word))):
        parts = list(some)
        number = digits(" ".join(parts)) if is_numeric else ""
        words += [number] if len(number) >= SHORTEST_PHONE else map(plain, parts)
    return [word for word in words if any(map(str.isalnum, word))][:MOST_WORDS]


def plain(word: str) -> str:
    """The word; where it could be the beginning of a phone number, its digits as they are kept."""
    if word.startswith("+") and word[1:].isdecimal():
        return word[1:]
    return digits(word) if word.isdecimal() and len(digits(word)) >= TRIGRAM else word


def digits(number: str) -> str:
    """Without what belongs to a country's own form: (0), and leading zeros."""
    return re.sub(r"\D", "", number.replace("(0)", "")).lstrip("0")


def pattern_of(word: str) -> str:
    longest = max(len(part) for part in re.findall(r"[^\W_]+", word))
    escaped = WILDCARD.sub(r"\\\1", word)
    return f"%{escaped}%" if longest >= TRIGRAM else f"% {escaped}%"

"""Text as people search for it: upper case, without accents, by one function of the database for both sides."""

import re
from typing import Any

from django.db import models
from django.db.models import Func, Lookup, Q, Value

# More would be a longer query, and no better a search.
MOST_WORDS = 8
# What a trigram index needs in a row to look anything up (https://www.postgresql.org/docs/current/pgtrgm.html).
TRIGRAM = 3
PHONE = re.compile(r"[+\d][\d\s()./-]*")
SHORTEST_NUMBER = 3  # digits, leading zeros not counted
WILDCARD = re.compile(r"([\\%_])")


class Folded(Func):
    """The SQL function `folded`: upper case, without accents (core_apps.common migrations)."""

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
    """What is looked for; a phone number is one word of digits, however it is spelled."""
    text = text.replace("\0", "")
    words = [text.strip()] if is_number(text.strip()) else text.split()
    words = [digits(word) if is_number(word) else word for word in words]
    return [word for word in words if any(map(str.isalnum, word))][:MOST_WORDS]


def is_number(word: str) -> bool:
    return bool(PHONE.fullmatch(word)) and len(digits(word)) >= SHORTEST_NUMBER


def digits(number: str) -> str:
    """Without what belongs to a country's own form: (0), and leading zeros."""
    return re.sub(r"\D", "", number.replace("(0)", "")).lstrip("0")


def pattern_of(word: str) -> str:
    longest = max(len(part) for part in re.findall(r"[^\W_]+", word))
    escaped = WILDCARD.sub(r"\\\1", word)
    return f"%{escaped}%" if longest >= TRIGRAM else f"% {escaped}%"

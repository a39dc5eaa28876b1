"""vCards of the versions 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350).

Not by vobject 0.9.9, the only library that is still kept: it fails on 4 of 9 files of real phones and programs.
"""

import quopri
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TextIO

from django.utils.translation import gettext as _

from customers.importing.problems import ImportFileError, remove_unstorable
from customers.importing.records import Record
from customers.importing.values import read_phone_uri

HEADER = (
    *("given name", "family name", "full name", "e-mail", "phone"),
    *("job title", "company", "country", "website", "notes"),
)
MAX_CARD = 2**20  # characters; those of photos and other binary values do not count
MAX_LINE = 2**16
MAX_PARAMETERS = 200
# A group, a name, parameters that may be quoted, and the value.
PROPERTY = re.compile(r'(?:[\w-]+\.)?([\w-]+)((?:;(?:"[^"]*"|[^;:"])*)*):(.*)', re.DOTALL)
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
NO_PHONE = {"FAX", "PAGER", "MODEM"}


class Property(NamedTuple):
    name: str
    types: set[str]  # every word of the parameters, as 2.1 leaves out their names
    value: str

    @property
    def rank(self) -> int:
        """Sort the preferred value first, then a mobile phone."""
        preferred = any(word == "PREF" or word.startswith("PREF=") for word in self.types)
        return 0 if preferred else 1 if "CELL" in self.types else 2

    def parts(self) -> list[str]:
        """Return the components, separated by semicolons that are not escaped."""
        parts = re.split(r"(?<!\\);", self.value.replace(r"\\", "\0"))
        return [unescape(part.replace("\0", r"\\")) for part in parts]


def is_card(file: BinaryIO, encoding: str) -> bool:
    file.seek(0)
    start = file.read(200).decode(encoding, "ignore").lstrip("\ufeff \r\n\t")
    return start[:11].upper() == "BEGIN:VCARD"


def read_cards(lines: TextIO) -> Iterator[Record]:
    """Yield the header, and a record for each card; a card within another, such as an agent's, is skipped.

    Raises ImportFileError for a card that does not end.
    """
    lines.seek(0)
    yield Record(0, list(HEADER))
    card: list[Property] = []
    depth = first = size = 0
    for line, text in unfold(lines):
        match parse(text):
            case Property("BEGIN", _, value) if value.upper() == "VCARD":
                depth += 1
                if depth == 1:
                    card, first, size = [], line, 0
            case Property("END", _, value) if depth and value.upper() == "VCARD":
                depth -= 1
                if depth == 0:
                    yield Record(first, build_cells(card))
            case Property() as item if depth == 1:
                card.append(item)
                size += len(text)
        if size > MAX_CARD:
            raise ImportFileError(
                _("The card at line %(line)s is longer than %(limit)s characters.")
                % {"line": first, "limit": f"{MAX_CARD:,}"}
            )
    if depth:
        raise ImportFileError(_("The card at line %s has no END:VCARD: the file is incomplete.") % first)


def unfold(lines: TextIO) -> Iterator[tuple[int, str]]:
    """Yield logical lines, each with the number of its first one.

    A line that starts with a space goes on with the one before, and in quoted-printable one after a final "=".
    """
    number, start, text = 0, 1, ""
    while line := lines.readline(MAX_LINE):
        number += 1
        line = line.rstrip("\r\n").lstrip("\ufeff")
        quoted = text.endswith("=") and "QUOTED-PRINTABLE" in text[:MAX_PARAMETERS].upper()
        if quoted or line[:1] in (" ", "\t"):
            start_of_text = text[:-1] if quoted else text
            # Only photos are longer.
            text = start_of_text + (line if quoted else line[1:]) if len(text) < MAX_LINE else text
        else:
            yield start, text
            start, text = number, line
    yield start, text


def parse(text: str) -> Property | None:
    """Return the property, or None for lines without a text, such as those of a photo."""
    match = PROPERTY.fullmatch(text)
    if not match:
        return None
    name, parameters, value = match.groups()
    words = {word.strip('"').upper() for word in re.split(r"[;,]|TYPE=|ENCODING=", parameters, flags=re.IGNORECASE)}
    if words & {"BASE64", "B"}:
        return None
    if "QUOTED-PRINTABLE" in words:
        charset = next((word[8:] for word in words if word.startswith("CHARSET=")), "utf-8")
        value = decode_quoted(value, charset)
    return Property(name.upper(), words, remove_unstorable(value).strip())


def decode_quoted(value: str, charset: str) -> str:
    octets = quopri.decodestring(value.encode())
    try:
        return octets.decode(charset)
    except (LookupError, ValueError):
        return octets.decode("cp1252", "replace")


def unescape(text: str) -> str:
    return ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], text).strip()


def build_cells(card: list[Property]) -> list[str]:
    """Return the cells under HEADER; several addresses or numbers stand in one, the preferred first."""
    properties: dict[str, list[Property]] = {}
    for item in card:
        if item.value and not (item.name == "TEL" and item.types & NO_PHONE):
            properties.setdefault(item.name, []).append(item)
    first = {name: min(items, key=lambda item: item.rank) for name, items in properties.items()}
    family, given, additional, *_ = [*(first["N"].parts() if "N" in first else []), "", "", ""]

    def texts(name: str) -> list[str]:
        return [unescape(item.value) for item in sorted(properties.get(name, ()), key=lambda item: item.rank)]

    return [
        f"{given} {additional}".strip(),
        family,
        " ".join(texts("FN")[:1]),
        "; ".join(texts("EMAIL")),
        "; ".join(map(read_phone_uri, texts("TEL"))),
        " ".join(texts("TITLE")[:1]),
        first["ORG"].parts()[0] if "ORG" in first else "",
        " ".join(first["ADR"].parts()[6:7]) if "ADR" in first else "",
        " ".join(texts("URL")[:1]),
        "\n".join(texts("NOTE")),
    ]

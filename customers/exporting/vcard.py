"""vCard 4.0 (RFC 6350): what an address book knows of a person, and nothing of what the team thinks of them."""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from core_apps.common.fields import country_names
from customers.exporting.rows import TAG_SEPARATOR, Row

LINE = 75  # octets of a line, its end not counted (3.2)
# What has a meaning inside of a value (3.4), or no place in it.
SPECIAL = re.compile(r"[\\,;]|\r\n|[\r\n\x01-\x08\x0b\x0c\x0e-\x1e\x7f]")
E164 = re.compile(r"\+[0-9]+")
DIVIDER = "\0"  # PostgreSQL keeps none in a text


def as_vcards(batches: Iterable[list[Row]]) -> Iterator[bytes]:
    for batch in batches:
        yield "".join(map(card_of, batch)).encode()


def card_of(row: Row) -> str:
    text = DIVIDER.join(row)
    if SPECIAL.search(text):
        text = SPECIAL.sub(escape, text)
    public_id, given, family, email, phone, title, company, domain, country, *_, tags, created = text.split(DIVIDER)
    values = (
        ("UID:urn:uuid:", public_id),
        ("FN:", f"{given} {family}".strip() or email or phone),
        ("N:", f"{family};{given};;;"),
        ("EMAIL:", email),
        ("TEL;VALUE=uri:tel:" if E164.fullmatch(phone) else "TEL:", phone),
        ("TITLE:", title),
        ("ORG:", company),
        ("URL:", domain and f"https://{domain}"),
        ("ADR:;;;;;;", country and country_name(country)),
        ("CATEGORIES:", tags.replace(TAG_SEPARATOR, ",")),
        ("CREATED:", created.replace("-", "").replace(":", "").replace(" ", "T") + "Z"),  # RFC 9554
    )
    lines = [folded(name + value) for name, value in values if value]
    return "\r\n".join(("BEGIN:VCARD", "VERSION:4.0", *lines, "END:VCARD", ""))


def escape(special: re.Match[str]) -> str:
    character = special[0]
    if character in "\\,;":
        return rf"\{character}"
    return r"\n" if character in "\r\n" else ""


@cache
def country_name(code: str) -> str:
    return SPECIAL.sub(escape, country_names().get(code, code))


def folded(line: str) -> str:
    """In lines of 75 octets, no character divided."""
    if len(line) <= LINE and (line.isascii() or len(line.encode()) <= LINE):
        return line
    lines, length = [""], 0
    for character in line:
        octets = len(character.encode())
        if length + octets > LINE:
            lines.append("")
            length = 1  # the space that says: it goes on
        lines[-1] += character
        length += octets
    return "\r\n ".join(lines)

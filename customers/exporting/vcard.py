"""vCard 4.0 (RFC 6350) with contact details only, without stage, notes and the like."""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from core_apps.common.fields import get_country_names
from customers.exporting.rows import TAG_SEPARATOR, Row

LINE = 75  # octets per line, excluding the line break (3.2)
# Characters that must be escaped in a value (3.4), or are not allowed.
SPECIAL = re.compile(r"[\\,;]|\r\n|[\r\n\x01-\x08\x0b\x0c\x0e-\x1e\x7f]")
E164 = re.compile(r"\+[0-9]+")
DIVIDER = "\0"  # PostgreSQL allows none in a text


def write_vcards(batches: Iterable[list[Row]]) -> Iterator[bytes]:
    for batch in batches:
        yield "".join(map(build_card, batch)).encode()


def build_card(row: Row) -> str:
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
    lines = [fold_line(name + value) for name, value in values if value]
    return "\r\n".join(("BEGIN:VCARD", "VERSION:4.0", *lines, "END:VCARD", ""))


def escape(special: re.Match[str]) -> str:
    character = special[0]
    if character in "\\,;":
        return rf"\{character}"
    return r"\n" if character in "\r\n" else ""


@cache
def country_name(code: str) -> str:
    return SPECIAL.sub(escape, get_country_names().get(code, code))


def fold_line(line: str) -> str:
    """Fold the line at 75 octets without splitting a character."""
    if len(line) <= LINE and (line.isascii() or len(line.encode()) <= LINE):
        return line
    lines, length = [""], 0
    for character in line:
        octets = len(character.encode())
        if length + octets > LINE:
            lines.append("")
            length = 1  # the space that marks a continuation
        lines[-1] += character
        length += octets
    return "\r\n ".join(lines)

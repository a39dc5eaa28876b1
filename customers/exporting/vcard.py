"""vCard 3.0 (RFC 2426) and 4.0 (RFC 6350) with contact details only, without stage, notes and the like."""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from core_apps.common.fields import get_country_names
from customers.exporting.tables import HEADINGS, TAG_SEPARATOR, Row

LINE = 75  # octets per line, excluding the line break (RFC 6350 §3.2)
# Characters that must be escaped in a value (RFC 6350 §3.4), or are not allowed.
SPECIAL = re.compile(r"[\\,;]|\r\n|[\r\n\x01-\x08\x0b\x0c\x0e-\x1e\x7f]")
E164 = re.compile(r"\+[0-9]+")
MIN_EQUAL = 4  # digits at the end of both forms of a number
DIVIDER = "\0"  # PostgreSQL allows none in a text
COMPACT = str.maketrans({"-": "", ":": "", " ": "T"})


def write_vcards(batches: Iterable[list[Row]], headings: Row = HEADINGS, version: str = "3.0") -> Iterator[bytes]:
    """Version 3.0 is what phones, Outlook and Google read; of 4.0 they show `tel:` as part of the number."""
    for batch in batches:
        yield "".join(build_card(row, headings, version) for row in batch).encode()


def build_card(row: Row, headings: Row, version: str) -> str:
    text = DIVIDER.join(row)
    if SPECIAL.search(text):
        text = SPECIAL.sub(escape, text)
    cells = dict(zip(headings, text.split(DIVIDER), strict=True))
    given, family, phone = cells["given name"], cells["family name"], choose_phone(cells)
    is_uri = version == "4.0" and E164.fullmatch(phone)
    created = cells["created (UTC)"].translate(COMPACT) if version == "4.0" else ""
    values = (
        ("UID:urn:uuid:", cells["public id"]),
        ("FN:", f"{given} {family}".strip() or cells["e-mail"] or phone),
        ("N:", f"{family};{given};;;"),
        ("EMAIL:", cells["e-mail"]),
        ("TEL;VALUE=uri:tel:" if is_uri else "TEL:", phone),
        ("TITLE:", cells["job title"]),
        ("ORG:", cells["company"]),
        ("URL:", cells["domain"] and f"https://{cells['domain']}"),
        ("ADR:;;;;;;", cells["country"] and country_name(cells["country"])),
        ("CATEGORIES:", cells["tags"].replace(TAG_SEPARATOR, ",")),
        ("CREATED:", created and f"{created}Z"),  # RFC 9554
    )
    lines = [fold_line(name + value) for name, value in values if value]
    return "\r\n".join(("BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""))


def choose_phone(cells: dict[str, str]) -> str:
    """Return the number in E.164, unless an extension follows it, which E.164 has no place for."""
    e164 = cells["phone (E.164)"]
    return e164 if e164 and re.sub(r"\D", "", cells["phone"]).endswith(e164[-MIN_EQUAL:]) else cells["phone"]


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

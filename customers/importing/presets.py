"""Which headers stand for which field, and how a field's text is read from a row's cells."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from customers.importing.problems import ImportFileError
from customers.importing.records import quote_names

# Headers by field, the preferred one first. No header is ambiguous, so all presets apply at once.
COMPANY_HEADERS: Mapping[str, Sequence[str]] = {
    "name": ("Company name", "Company"),
    "domain": ("Company Domain Name",),  # HubSpot
    "country": ("Country code", "Country", "Country/Region"),
    "website": ("Website URL",),  # HubSpot
}
CUSTOMER_HEADERS: Mapping[str, Sequence[str]] = {
    "given_name": ("First Name", "Middle Name"),
    "family_name": ("Last Name",),
    "email": ("E-mail 1 - Value", "E-mail Address", "E-mail 2 Address"),  # Google, Outlook, Outlook
    "phone": ("Phone 1 - Value", "Mobile Phone", "Business Phone", "Home Phone", "Phone Number"),
    "job_title": ("Organization Title",),  # Google; Outlook's "Title" is "Dr"
    "company": ("Organization Name", "Company Name", "Associated Company"),  # Google, HubSpot, HubSpot
    "country": ("Country code", "Address 1 - Country", "Business Country/Region"),
}
JOINED_FIELDS = {"given_name"}  # all columns joined; other fields use the first non-blank column
UNSPLIT_FIELDS = {"notes"}  # other fields use the first of several values, as Google Contacts writes them
SEPARATOR = " ::: "


@dataclass(frozen=True)
class Columns:
    """The positions of each field's columns in the header."""

    header: Sequence[str]
    positions: Mapping[str, Sequence[int]]

    def text(self, field: str, cells: Sequence[str]) -> str:
        filled = [text for position in self.positions[field] if (text := cells[position].strip())]
        text = " ".join(filled if field in JOINED_FIELDS else filled[:1])
        return text.partition(SEPARATOR)[0] if SEPARATOR in text and field not in UNSPLIT_FIELDS else text

    def source(self, field: str, cells: Sequence[str]) -> tuple[str, str]:
        """Return the header and the cell that the field's text comes from."""
        columns = [(self.header[position], cells[position]) for position in self.positions.get(field, ())]
        filled = (column for column in columns if column[1].strip())
        return next(filled, columns[0] if columns else ("", ""))

    @property
    def ignored(self) -> list[str]:
        used = {position for positions in self.positions.values() for position in positions}
        return [name for position, name in enumerate(self.header) if name and position not in used]


def match_columns(
    header: Sequence[str], presets: Mapping[str, Sequence[str]], assigned: Sequence[tuple[str, str]]
) -> Columns:
    """Return each field's columns: those assigned as (header, field), otherwise those of the presets.

    Raises ImportFileError if an assigned header or field does not exist, or if no column matches a field.
    """
    by_name: dict[str, list[int]] = {}
    for position, name in enumerate(header):
        by_name.setdefault(normalize_header(name), []).append(position)
    chosen = find_assigned(by_name, header, presets, assigned)
    taken = {position for positions in chosen.values() for position in positions}
    for field, names in presets.items():
        positions = [position for name in names for position in by_name.get(normalize_header(name), ())]
        chosen.setdefault(field, [position for position in dict.fromkeys(positions) if position not in taken])
    if not any(chosen.values()):
        raise ImportFileError(f"No column matches a field: {quote_names(header)}. Map them to {', '.join(presets)}.")
    return Columns(header, chosen)


def find_assigned(
    by_name: Mapping[str, list[int]], header: Sequence[str], fields: Iterable[str], assigned: Sequence[tuple[str, str]]
) -> dict[str, list[int]]:
    known = {normalize_header(field): field for field in fields}
    chosen: dict[str, list[int]] = {}
    for name, field in assigned:
        if not name.strip() or normalize_header(name) not in by_name:
            raise ImportFileError(f"There is no column “{name}”. The columns are {quote_names(header)}.")
        if normalize_header(field) not in known:
            raise ImportFileError(f"There is no field “{field}”. The fields are {', '.join(known.values())}.")
        chosen.setdefault(known[normalize_header(field)], []).extend(by_name[normalize_header(name)])
    return chosen


def normalize_header(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.casefold())

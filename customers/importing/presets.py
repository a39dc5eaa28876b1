"""Which headers stand for which field, and how a row's text for a field is read from its cells."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from customers.importing.problems import CannotImport
from customers.importing.records import listed

# Headers by field, the preferred one first. No header means two things, so all presets hold at once.
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
JOINED = {"given_name"}  # of other fields the first column that is filled is taken
WHOLE = {"notes"}  # of other fields the first value of several, as Google Contacts writes them
SEPARATOR = " ::: "


@dataclass(frozen=True)
class Columns:
    """The positions of each field's columns under a header."""

    header: Sequence[str]
    positions: Mapping[str, Sequence[int]]

    def text(self, field: str, cells: Sequence[str]) -> str:
        filled = [text for position in self.positions[field] if (text := cells[position].strip())]
        text = " ".join(filled if field in JOINED else filled[:1])
        return text.partition(SEPARATOR)[0] if SEPARATOR in text and field not in WHOLE else text

    def source(self, field: str, cells: Sequence[str]) -> tuple[str, str]:
        """The column that the field's text comes from, and its cell."""
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
    """Finds each field's columns: those that a person assigned as (header, field), else those of the presets.

    Raises CannotImport when an assigned header or field does not exist, or no column stands for any field.
    """
    by_name: dict[str, list[int]] = {}
    for position, name in enumerate(header):
        by_name.setdefault(folded(name), []).append(position)
    chosen = assigned_columns(by_name, header, presets, assigned)
    taken = {position for positions in chosen.values() for position in positions}
    for field, names in presets.items():
        found = [position for name in names for position in by_name.get(folded(name), ())]
        chosen.setdefault(field, [position for position in dict.fromkeys(found) if position not in taken])
    if not any(chosen.values()):
        raise CannotImport(f"No column stands for a field: {listed(header)}. Map them to {', '.join(presets)}.")
    return Columns(header, chosen)


def assigned_columns(
    by_name: Mapping[str, list[int]], header: Sequence[str], fields: Iterable[str], assigned: Sequence[tuple[str, str]]
) -> dict[str, list[int]]:
    known = {folded(field): field for field in fields}
    chosen: dict[str, list[int]] = {}
    for name, field in assigned:
        if not name.strip() or folded(name) not in by_name:
            raise CannotImport(f"There is no column “{name}”; there are {listed(header)}.")
        if folded(field) not in known:
            raise CannotImport(f"There is no field “{field}”; there are {', '.join(known.values())}.")
        chosen.setdefault(known[folded(field)], []).extend(by_name[folded(name)])
    return chosen


def folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", name.casefold())

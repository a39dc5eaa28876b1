"""Which headers stand for which field, and how a field's text is read from a row's cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from customers.importing.headers import normalize_header, quote_names
from customers.importing.problems import ColumnsError, ImportFileError

# Headers by field, the preferred one first. No header is ambiguous, so all presets apply at once.
COMPANY_HEADERS: Mapping[str, Sequence[str]] = {
    "name": (
        *("Company name", "Company", "Organization Name", "Organization", "Exhibitor", "Exhibitor Name"),
        *("Firma", "Firmenname", "Unternehmen", "Organisation", "Aussteller"),
    ),
    "domain": ("Company Domain Name", "Domäne"),  # HubSpot
    "country": ("Country code", "Country", "Country/Region", "Land", "Land/Region", "Staat"),
    "industry": ("Branche", "Sector"),
    "website": (
        *("Website URL", "Web Page", "Website 1 - Value", "URL", "Web", "Homepage"),  # HubSpot, Outlook, Google
        *("Webseite", "Internet", "Internetadresse"),
    ),
}
CUSTOMER_HEADERS: Mapping[str, Sequence[str]] = {
    "given_name": ("First Name", "Middle Name", "Forename", "Vorname", "Weitere Vornamen"),
    "family_name": ("Last Name", "Surname", "Nachname", "Familienname", "Zuname"),
    "full_name": (
        *("Full Name", "Name", "Attendee Name", "Contact Name", "Contact", "Participant", "Display Name"),
        *("Vollständiger Name", "Vor- und Nachname", "Ansprechpartner", "Kontakt", "Teilnehmer"),
    ),
    "email": (
        *("E-mail 1 - Value", "E-mail Address", "E-mail 2 Address"),  # Google, Outlook, Outlook
        *("Mail", "E-Mail-Adresse", "E-Mail 2: Adresse", "Mailadresse"),
    ),
    "phone": (
        *("Phone 1 - Value", "Mobile Phone", "Business Phone", "Home Phone", "Phone Number", "Mobile", "Telephone"),
        *("Mobiltelefon", "Telefon geschäftlich", "Telefon (geschäftlich)", "Telefon privat", "Telefon (privat)"),
        *("Telefonnummer", "Telefon", "Tel", "Handy", "Mobil", "Rufnummer"),
    ),
    # Google, LinkedIn; Outlook's "Title" is "Dr"
    "job_title": ("Organization Title", "Position", "Berufsbezeichnung", "Funktion", "Stellenbezeichnung"),
    "company": (
        *("Organization Name", "Company Name", "Associated Company", "Organization"),  # Google, HubSpot, HubSpot
        *("Firma", "Firmenname", "Unternehmen", "Organisation"),
    ),
    "country": (
        *("Country code", "Address 1 - Country", "Business Country/Region", "Country/Region"),
        *("Land", "Land/Region geschäftlich", "Land/Region (geschäftlich)", "Land/Region", "Staat"),
    ),
    "notes": ("Note", "Comment", "Comments", "Notizen", "Notiz", "Bemerkung", "Bemerkungen", "Kommentar"),
}
JOINED_FIELDS = {"given_name": " ", "notes": "\n"}  # all columns joined; other fields use the first non-blank column
GOOGLE_SEPARATOR, HUBSPOT_SEPARATOR = " ::: ", ";"
HUBSPOT_COMPANIES = {"companyname", "associatedcompany"}


@dataclass(frozen=True)
class Columns:
    """The positions of each field's columns in the header."""

    header: Sequence[str]
    positions: Mapping[str, Sequence[int]]

    def text(self, field: str, cells: Sequence[str]) -> str:
        positions = self.positions[field]
        if len(positions) == 1:
            return cells[positions[0]].strip()
        filled = [text for position in positions if (text := cells[position].strip())]
        return JOINED_FIELDS.get(field, " ").join(filled if field in JOINED_FIELDS else filled[:1])

    def first_value(self, field: str, text: str, cells: Sequence[str]) -> str:
        """Return the first of several values that Google Contacts or HubSpot have written into one cell."""
        if GOOGLE_SEPARATOR in text and field != "notes":
            return text.partition(GOOGLE_SEPARATOR)[0].strip()
        if HUBSPOT_SEPARATOR in text and normalize_header(self.source(field, cells)[0]) in HUBSPOT_COMPANIES:
            return text.partition(HUBSPOT_SEPARATOR)[0].strip()
        return text

    def source(self, field: str, cells: Sequence[str]) -> tuple[str, str]:
        """Return the header and the cell that the field's text comes from."""
        columns = [(self.header[position], cells[position]) for position in self.positions.get(field, ())]
        filled = (column for column in columns if column[1].strip())
        return next(filled, columns[0] if columns else ("", ""))

    @property
    def alternatives(self) -> dict[str, list[str]]:
        """The headers of the fields that take the first filled one of several columns."""
        return {
            field: [self.header[position] for position in positions]
            for field, positions in self.positions.items()
            if len(positions) > 1 and field not in JOINED_FIELDS
        }

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each header with its field, or with a blank one."""
        fields = {position: field for field, positions in self.positions.items() for position in positions}
        return [(name, fields.get(position, "")) for position, name in enumerate(self.header)]

    @property
    def ignored(self) -> list[str]:
        used = {position for positions in self.positions.values() for position in positions}
        return [name for position, name in enumerate(self.header) if name and position not in used]


def match_columns(
    header: Sequence[str], presets: Mapping[str, Sequence[str]], assigned: Sequence[tuple[str, str]]
) -> Columns:
    """Return each field's columns: those assigned as (header, field), otherwise those of the presets.

    A column that is assigned to a blank field is left out.

    Raises ImportFileError if an assigned header or field does not exist, or if no column matches a field.
    """
    by_name: dict[str, list[int]] = {}
    for position, name in enumerate(header):
        by_name.setdefault(normalize_header(name), []).append(position)
    chosen = find_assigned(by_name, header, presets, assigned)
    taken = {position for positions in chosen.values() for position in positions}
    chosen.pop("", None)
    for field, names in presets.items():
        positions = [position for name in names for position in by_name.get(normalize_header(name), ())]
        chosen.setdefault(field, [position for position in dict.fromkeys(positions) if position not in taken])
    if not any(chosen.values()):
        text = _("No column matches a field: %(columns)s. Map them to %(fields)s.")
        raise ColumnsError(text % {"columns": quote_names(header), "fields": ", ".join(presets)}, header)
    return Columns(header, chosen)


def find_assigned(
    by_name: Mapping[str, list[int]], header: Sequence[str], fields: Iterable[str], assigned: Sequence[tuple[str, str]]
) -> dict[str, list[int]]:
    known = {normalize_header(field): field for field in fields} | {"": ""}
    chosen: dict[str, list[int]] = {}
    for name, field in assigned:
        if not name.strip() or normalize_header(name) not in by_name:
            raise ImportFileError(f"There is no column “{name}”. The columns are {quote_names(header)}.")
        if normalize_header(field) not in known:
            raise ImportFileError(f"There is no field “{field}”. The fields are {', '.join(fields)}.")
        chosen.setdefault(known[normalize_header(field)], []).extend(by_name[normalize_header(name)])
    return chosen

"""The companies named in customer rows."""

# ruff: noqa: S608 - only names of our models are formatted into the statements; values are parameters

from collections.abc import Iterator, Mapping, Sequence

from django.db import connection
from django.utils.translation import gettext as _

from customers.importing.problems import format_value
from customers.importing.recordset import execute, query, recordset, to_json
from customers.importing.rows import Row
from customers.models import Company

TABLE = connection.ops.quote_name(Company._meta.db_table)
EMPLOYERS = recordset({"line": "integer", "employer": "text", "country": "text"})


def link_employers(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Set the company of each row that names one, and yield each row with an ambiguous name, with the reason.

    Among several companies of that name, the one in the customer's country is chosen. A company that does
    not exist is marked as missing. Spaces within a name may differ.
    """
    # Not IN or OR, which would compare each row with each company.
    spellings = (
        "SELECT DISTINCT r.line, r.country, upper(spelling) AS name"
        rf" FROM {EMPLOYERS}, unnest(ARRAY[r.employer, regexp_replace(r.employer, '\s+', ' ', 'g')]) spelling"
    )
    in_country = "FILTER (WHERE t.country = r.country)"
    matches = query(
        f"SELECT r.line, count(*), min(t.id), min(t.name), count(*) {in_country}, min(t.id) {in_country}"
        f" FROM ({spellings}) r JOIN {TABLE} t ON upper(t.name) = r.name GROUP BY r.line",
        to_json(map(employer_values, rows)),
    )
    by_line = {line: counts for line, *counts in matches}
    for row in rows:
        count, first, name, count_in_country, first_in_country = by_line.get(row.line, (0, None, "", 0, None))
        row.employer_missing = count == 0
        row.employer = name or row.employer
        row.values["company_id"] = first if count == 1 else first_in_country
        if count > 1 and count_in_country != 1:
            text = _("%(count)s companies are named “%(name)s”.")
            yield row, text % {"count": count, "name": format_value(row.employer)}


def create_employers(rows: Sequence[Row]) -> int:
    """Create the missing companies, link the rows to them, and return the number created.

    Their country stays blank: a customer's country need not be that of the employer.
    """
    spellings: dict[str, str] = {}  # by the name with single spaces
    for row in rows:
        row.employer = spellings.setdefault(" ".join(row.employer.upper().split()), row.employer)
    names = to_json(map(employer_values, rows))
    created = execute(
        f"INSERT INTO {TABLE} (name, domain, country, industry, website)"
        f" SELECT DISTINCT ON (upper(r.employer)) r.employer, '', '', '', '' FROM {EMPLOYERS}"
        " ORDER BY upper(r.employer), r.line ON CONFLICT DO NOTHING",
        names,
    )
    companies = query(
        f"SELECT r.line, t.id FROM {EMPLOYERS}"
        f" JOIN {TABLE} t ON upper(t.name) = upper(r.employer) AND t.domain = '' AND t.country = ''",
        names,
    )
    ids = dict(companies)
    for row in rows:
        row.values["company_id"] = ids[row.line]
    return created


def employer_values(row: Row) -> Mapping[str, object]:
    return {"line": row.line, "employer": row.employer, "country": row.values["country"]}

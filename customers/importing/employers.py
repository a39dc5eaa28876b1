"""Companies that the rows of customers name."""

# ruff: noqa: S608 - what the statements are made of are names of our models; values are parameters

from collections.abc import Iterator, Mapping, Sequence

from django.db import connection

from customers.importing.problems import shown
from customers.importing.recordset import execute, parameter, query, recordset
from customers.importing.rows import Row
from customers.models import Company

TABLE = connection.ops.quote_name(Company._meta.db_table)
NAMED = recordset({"line": "integer", "employer": "text", "country": "text"})


def link_employers(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Sets the company of each row that names one; yields the rows whose name fits several, with the reason.

    Of several companies with the name, the one in the customer's country is meant. A company that does
    not exist is marked as missing.
    """
    in_country = "FILTER (WHERE t.country = r.country)"
    found = query(
        f"SELECT r.line, count(*), min(t.id), count(*) {in_country}, min(t.id) {in_country}"
        f" FROM {NAMED} JOIN {TABLE} t ON upper(t.name) = upper(r.employer) GROUP BY r.line",
        parameter(map(employer_of, rows)),
    )
    by_line = {line: counts for line, *counts in found}
    for row in rows:
        fitting, first, fitting_in_country, first_in_country = by_line.get(row.line, (0, None, 0, None))
        row.employer_missing = fitting == 0
        row.values["company_id"] = first if fitting == 1 else first_in_country
        if fitting > 1 and fitting_in_country != 1:
            yield row, f"{fitting} companies are named “{shown(row.employer)}”."


def create_employers(rows: Sequence[Row]) -> int:
    """Creates the missing companies of the rows, links the rows to them, and returns how many it created.

    They have no country: where a person lives does not tell it.
    """
    names = parameter(map(employer_of, rows))
    created = execute(
        f"INSERT INTO {TABLE} (name, domain, country, industry, website)"
        f" SELECT DISTINCT ON (upper(r.employer)) r.employer, '', '', '', '' FROM {NAMED}"
        " ORDER BY upper(r.employer), r.line ON CONFLICT DO NOTHING",
        names,
    )
    found = query(
        f"SELECT r.line, t.id FROM {NAMED}"
        f" JOIN {TABLE} t ON upper(t.name) = upper(r.employer) AND t.domain = '' AND t.country = ''",
        names,
    )
    ids = dict(found)
    for row in rows:
        row.values["company_id"] = ids[row.line]
    return created


def employer_of(row: Row) -> Mapping[str, object]:
    return {"line": row.line, "employer": row.employer, "country": row.values["country"]}

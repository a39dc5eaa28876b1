"""Real-world files, if available."""

import csv
from pathlib import Path

import pytest

from customers.importing import COMPANIES, CUSTOMERS, Options, import_file
from customers.models import Company, Customer
from customers.tests.import_files import outcome

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not DATA.is_dir(), reason="the data directory beside the checkout is absent"),
]


def rows_by_line(file: Path) -> dict[int, dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return dict(enumerate(csv.DictReader(stream, skipinitialspace=True), 2))


def test_every_university_is_imported_or_rejected_with_the_right_reason(tmp_path):
    errors = tmp_path / "errors.csv"
    report = import_file(DATA / "universities.csv", COMPANIES, Options(errors=errors))

    assert report.rows == 10_251
    created, *rest, rejected = outcome(report)
    assert (rest, Company.objects.count()) == ([0, 0, 0], created)
    lines = rows_by_line(DATA / "universities.csv")
    with errors.open(encoding="utf-8-sig", newline="") as stream:
        rejects = list(csv.DictReader(stream))
    assert len(rejects) == rejected
    for reject in rejects:
        row = lines[int(reject["line"])]
        first, domain = int(reject["reason"].split()[1]), row["domain"]
        assert reject["reason"] == f"Line {first} has the same web domain."
        assert (lines[first]["domain"].lower(), reject["value"]) == (domain.lower(), domain)


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("universities.csv", COMPANIES, Options()),
        ("febrl_people_1000.csv", CUSTOMERS, Options(assigned=[("surname", "family_name"), ("suburb", "notes")])),
    ],
)
def test_second_run_of_a_real_file_changes_nothing(name, kind, options):
    first = import_file(DATA / name, kind, options)
    before = list(kind.model.objects.order_by("pk").values())

    second = import_file(DATA / name, kind, options)

    assert outcome(second) == (0, 0, first.created, 0, first.rejected)
    assert list(kind.model.objects.order_by("pk").values()) == before


def test_every_person_is_imported_or_shares_the_name_of_an_earlier_one(tmp_path):
    file, errors = DATA / "febrl_people_1000.csv", tmp_path / "errors.csv"
    report = import_file(file, CUSTOMERS, Options(assigned=[("surname", "family_name")], errors=errors))

    assert (report.rows, report.created + report.rejected) == (1_000, 1_000)
    lines = rows_by_line(file)
    names = {line: (row["given_name"], row["surname"]) for line, row in lines.items()}
    with errors.open(encoding="utf-8-sig", newline="") as stream:
        rejects = list(csv.DictReader(stream))
    for reject in rejects:
        same = reject["reason"].startswith("Line ")
        assert names[int(reject["line"])] == (names[int(reject["reason"].split()[1])] if same else ("", ""))
    assert Customer.objects.count() == len({name for name in names.values() if name != ("", "")})

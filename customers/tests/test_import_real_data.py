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


def test_every_university_is_imported_once():
    report = import_file(DATA / "universities.csv", COMPANIES)

    assert report.rows == 10_251
    created, *rest = outcome(report)
    assert (rest, Company.objects.count()) == ([0, 0, 0, 0], created)
    domains = {row["domain"].lower().removeprefix("www.") for row in rows_by_line(DATA / "universities.csv").values()}
    assert set(Company.objects.values_list("domain", flat=True)) == domains


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
    assert second.repeated == first.repeated
    assert list(kind.model.objects.order_by("pk").values()) == before


def test_every_person_with_a_name_is_imported_once():
    file = DATA / "febrl_people_1000.csv"
    report = import_file(file, CUSTOMERS, Options(assigned=[("surname", "family_name")]))

    names = [(row["given_name"], row["surname"]) for row in rows_by_line(file).values()]
    assert (report.rows, report.rejected) == (1_000, names.count(("", "")))
    assert Customer.objects.count() == len({name for name in names if name != ("", "")})


CARDS = {  # the number of cards, and the first that has an e-mail address
    "John_Doe_EVOLUTION.vcf": (1, ("John Richter, James", "Doe", "john.doe@ibm.com", "905-666-1234")),
    "John_Doe_GMAIL.vcf": (1, ("John Richter, James", "Doe", "john.doe@ibm.com", "905-555-1234")),
    "John_Doe_IPHONE.vcf": (1, ("John Richter,James", "Doe", "john.doe@ibm.com", "905-555-1234")),
    "John_Doe_MS_OUTLOOK.vcf": (1, ("John Richter,James", "Doe", "john.doe@ibm.cm", "(905) 555-1234")),
    "gmail-list.vcf": (3, ("Arnold", "Smith", "asmithk@gmail.com", "")),
    "outlook-2003.vcf": (1, ("John", "Doe", "jdoe@hotmail.com", "")),
    "rfc2426-example.vcf": (2, ("Frank", "Dawson", "frank_dawson@lotus.com", "+1-919-676-9515")),
    "rfc6350-example.vcf": (1, ("Simon", "Perreault", "simon.perreault@viagenie.ca", "+1-418-656-9254 ext. 102")),
}


@pytest.mark.parametrize(("name", "expected"), CARDS.items())
def test_cards_of_real_programs_are_imported(name, expected):
    report = import_file(DATA / "vcards" / name, CUSTOMERS)

    count, first = expected
    assert outcome(report) == (count, 0, 0, 0, 0)
    assert Customer.objects.order_by("pk").values_list("given_name", "family_name", "email", "phone")[0] == first


def test_cards_of_an_android_phone_are_imported():
    report = import_file(DATA / "vcards" / "John_Doe_ANDROID.vcf", CUSTOMERS)

    assert (report.rejected, report.rows) == (0, Customer.objects.count() + report.repeated)
    assert set(Customer.objects.exclude(email="").values_list("email", flat=True)) == {
        "john.doe@company.com",
        "jane.doe@company.com",
        "bob@company.com",
        "henry@company.com",
    }

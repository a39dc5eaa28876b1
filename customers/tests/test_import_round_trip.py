"""What was exported, or refused, comes back as it was."""

import csv
from pathlib import Path

import pytest

from customers.exporting.formats import FORMATS
from customers.exporting.rows import fetch_batches
from customers.importing import COMPANIES, CUSTOMERS, Options, import_file
from customers.models import Company, Customer
from customers.spreadsheets import escape_formula
from customers.tests.factories import make_company, make_customer
from customers.tests.import_files import import_text, omissions, outcome

pytestmark = pytest.mark.django_db

FIELDS = ("given_name", "family_name", "email", "phone", "phone_e164", "job_title", "company__name", "country", "stage")
TEXTS = [
    "=1+1",
    "+Plus",
    "-Minus",
    "-5",
    "@home",
    "'=1+1",
    "''+49",
    "'t Hart",
    '="quoted"',
    '\'="quoted"',
    "Ann;=1+1",
    "Ann;'=1+1",
    'Søn & "Töchter" GmbH',
    "A  B",
    "_x0041_",
    "0049",
    "1E5",
    "日本語 🎪",
    "N/A",
    "sep=;",
]
PAIR = "+49 30 901823 / +49 171 1234567"
PHONES = [
    "030 901820",
    "0049 30 901821",
    "+49 (0)30 901822 ext. 12",
    PAIR,
    "'+49 30 901824",
    "extension 4",
]


def read_rows() -> list[tuple[str, ...]]:
    return list(Customer.objects.order_by("email").values_list(*FIELDS))


def export(file: Path) -> Path:
    content = FORMATS[file.suffix[1:]].write(fetch_batches(Customer.objects.order_by("email")))
    file.write_bytes(b"".join(content))
    return file


@pytest.fixture
def customers() -> list[tuple[str, ...]]:
    for number, text in enumerate(TEXTS):
        make_customer(
            given_name=text,
            family_name=text,
            job_title=text,
            email=f"t{number:02}@example.com",
            company=make_company(name=text, domain=""),
            country="DE",
        )
    for number, phone in enumerate(PHONES):
        make_customer(email=f"u{number:02}@example.com", phone=phone, country="DE", stage="customer")
    return read_rows()


@pytest.mark.parametrize("name", ["customers.csv", "customers.xlsx"])
def test_export_changes_nothing_when_it_is_imported(name, customers, tmp_path):
    report = import_file(export(tmp_path / name), CUSTOMERS)

    assert outcome(report) == (0, 0, len(TEXTS) + len(PHONES), 0, 0)
    assert read_rows() == customers


@pytest.mark.parametrize("name", ["customers.csv", "customers.xlsx"])
def test_export_brings_back_customers_that_were_deleted(name, customers, tmp_path):
    file = export(tmp_path / name)
    Customer.objects.all().delete()
    Company.objects.all().delete()

    report = import_file(file, CUSTOMERS)

    assert (report.created, report.rejected) == (len(customers), 0)
    assert omissions(report) == [
        (len(TEXTS) + 5, "phone", "+49 171 1234567", "There is room for one value, the first.")
    ]
    for before, after in zip(customers, read_rows(), strict=True):
        if before[3] == PAIR:
            before = (*before[:3], "+49 30 901823", "+4930901823", *before[5:])
        assert after == before


@pytest.mark.parametrize("text", TEXTS)
def test_errors_file_brings_back_what_was_in_the_file(text, tmp_path):
    file, errors = tmp_path / "customers.csv", tmp_path / "errors.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        cell = escape_formula(text)
        csv.writer(stream).writerows([["Email", "First Name", "Job title"], ["at home", cell, cell]])
    import_file(file, CUSTOMERS, Options(errors=errors, strict=True))
    assert Customer.objects.count() == 0
    errors.write_text(errors.read_text("utf-8").replace(",at home,", ",home@example.com,").replace("at home", ""))

    import_file(errors, CUSTOMERS)

    first = Customer.objects.get()
    assert (first.email, first.given_name, first.job_title) == ("home@example.com", text, text)


def test_corrected_value_is_added_to_the_customer_it_was_left_out_of(tmp_path):
    errors = tmp_path / "errors.csv"
    text = "First Name,Last Name,E-mail,Company\n@home,-Svendsen,broken at home,+Plus GmbH\nKari,Lie,-,\n"
    import_text(CUSTOMERS, tmp_path, text, Options(errors=errors))
    corrected = errors.read_text("utf-8").replace(",broken at home,'+", ",home@home.example,'+")
    errors.write_text(corrected.replace(",-,\n", ",kari@example.com,\n").replace("Lie,'-,", "Lie,kari@example.com,"))

    report = import_file(errors, CUSTOMERS)

    assert outcome(report) == (0, 2, 0, 0, 0)
    assert list(Customer.objects.order_by("pk").values_list("given_name", "family_name", "email", "company__name")) == [
        ("@home", "-Svendsen", "home@home.example", "+Plus GmbH"),
        ("Kari", "Lie", "kari@example.com", None),
    ]


def test_customer_of_that_name_gets_no_address_from_another_file(tmp_path):
    import_text(CUSTOMERS, tmp_path, "First Name,Last Name\nKari,Lie\n")

    report = import_text(CUSTOMERS, tmp_path, "First Name,Last Name,E-mail\nKari,Lie,kari@example.com\n")

    assert outcome(report) == (1, 0, 0, 0, 0)


def test_corrected_company_is_found_again(tmp_path):
    errors = tmp_path / "errors.csv"
    import_text(COMPANIES, tmp_path, "name,country,website\n=Nordlys,NO,n/a\n", Options(errors=errors))
    errors.write_text(errors.read_text("utf-8").replace("NO,n/a", "NO,nordlys.example"))

    report = import_file(errors, COMPANIES)

    assert outcome(report) == (0, 1, 0, 0, 0)
    assert list(Company.objects.values_list("name", "website")) == [("=Nordlys", "https://nordlys.example")]

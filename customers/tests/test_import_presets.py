import csv
from pathlib import Path

import pytest

from core_apps.common.fields import get_country_names
from customers.importing import COMPANIES, CUSTOMERS, ImportFileError, Kind, Options, import_file
from customers.importing.countries import codes_by_name, country_code
from customers.models import Company, Customer
from customers.tests.import_files import import_text, outcome

pytestmark = pytest.mark.django_db

GOOGLE = (
    "First Name,Middle Name,Last Name,Phonetic First Name,Phonetic Middle Name,Phonetic Last Name,Name Prefix,"
    "Name Suffix,Nickname,File As,Organization Name,Organization Title,Organization Department,Birthday,Notes,Photo,"
    "Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,Address 1 - Street,Address 1 - City,"
    "Address 1 - Region,Address 1 - Postal Code,Address 1 - Country,Website 1 - Value"
)
OUTLOOK = (
    "Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,Business Street,Business City,"
    "Business State,Business Postal Code,Business Country/Region,Business Fax,Business Phone,Home Phone,Mobile Phone,"
    "E-mail Address,E-mail Type,E-mail Display Name,E-mail 2 Address,Notes,Web Page"
)
HUBSPOT = (
    "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Lead Status,Create Date,Job Title,"
    "Company Name,Associated Company"
)
FIELDS = ("given_name", "family_name", "email", "phone", "job_title", "company__name", "country", "notes")


def write_rows(file: Path, header: str, rows: list[dict[str, str]], encoding: str = "utf-8") -> Path:
    with file.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, header.split(","), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return file


def customers() -> list[tuple[str, ...]]:
    return list(Customer.objects.order_by("pk").values_list(*FIELDS))


def test_google_contacts_are_imported(tmp_path):
    ann = {
        "First Name": "Ann",
        "Middle Name": "Maria",
        "Last Name": "Lind",
        "Name Prefix": "Dr",
        "Organization Name": "Nordlys",
        "Organization Title": "Buyer",
        "Notes": "Wants ::: two lamps",
        "Labels": "* myContacts ::: Fair",
        "E-mail 1 - Value": "Ann@example.com ::: ann.lind@example.org",
        "Phone 1 - Value": "+47 22 12 34 56 ::: +47 22 12 34 57",
        "Address 1 - Country": "Norway",
    }

    report = import_file(write_rows(tmp_path / "contacts.csv", GOOGLE, [ann]), CUSTOMERS)

    assert outcome(report) == (1, 0, 0, 0, 0)
    assert customers() == [
        ("Ann Maria", "Lind", "ann@example.com", "+47 22 12 34 56", "Buyer", "Nordlys", "NO", "Wants ::: two lamps")
    ]
    assert "Phonetic First Name" in report.ignored
    assert "Notes" not in report.ignored


def test_outlook_contacts_in_windows_1252_are_imported(tmp_path):
    rows = [
        {
            "Title": "Frau",
            "First Name": "Jörg",
            "Last Name": "Größe",
            "Company": "Müller & Söhne",
            "Job Title": "Geschäftsführer",
            "Business Country/Region": "Germany",
            "Business Phone": "+49 30 1234567",
            "Mobile Phone": "+49 170 1234567",
            "E-mail Address": "joerg@example.com",
            "Notes": "Zwei\nZeilen zu 7 €",
        },
        {"First Name": "Eva", "Last Name": "Ähre", "Business Phone": "+49 30 7654321", "Home Phone": "+49 40 1"},
    ]

    report = import_file(write_rows(tmp_path / "kontakte.csv", OUTLOOK, rows, "cp1252"), CUSTOMERS)

    assert report.description.startswith("Encoding cp1252 (a guess")
    assert outcome(report) == (2, 0, 0, 0, 0)
    assert customers() == [
        (
            "Jörg",
            "Größe",
            "joerg@example.com",
            "+49 170 1234567",
            "Geschäftsführer",
            "Müller & Söhne",
            "DE",
            "Zwei\nZeilen zu 7 €",
        ),
        ("Eva", "Ähre", "", "+49 30 7654321", "", None, "", ""),
    ]


def test_hubspot_contacts_are_imported(tmp_path):
    ann = {
        "Record ID": "151",
        "First Name": "Ann",
        "Last Name": "Lind",
        "Email": "ann@example.com",
        "Phone Number": "+47 22 12 34 56",
        "Contact owner": "Bob",
        "Lead Status": "Open",
        "Job Title": "Buyer",
        "Associated Company": "Nordlys",
    }

    report = import_file(write_rows(tmp_path / "hubspot.csv", HUBSPOT, [ann]), CUSTOMERS)

    assert outcome(report) == (1, 0, 0, 0, 0)
    assert customers() == [("Ann", "Lind", "ann@example.com", "+47 22 12 34 56", "Buyer", "Nordlys", "", "")]
    assert report.ignored == ["Record ID", "Contact owner", "Lead Status", "Create Date"]


@pytest.mark.parametrize("header", ["given_name", "Given Name", "GIVEN-NAME", "givenname"])
def test_own_field_name_is_found_in_any_spelling(header, tmp_path):
    import_text(CUSTOMERS, tmp_path, f"{header}\nAnn\n")

    assert [given_name for given_name, *_ in customers()] == ["Ann"]


def test_assigned_column_wins_over_the_preset(tmp_path):
    options = Options(assigned=[("Brand", "name"), ("Name", "industry")])

    report = import_text(COMPANIES, tmp_path, "Name,Brand,Company\nLighting,Nordlys,Other\n", options)

    assert list(Company.objects.values_list("name", "industry")) == [("Nordlys", "Lighting")]
    assert report.ignored == ["Company"]


def test_several_columns_assigned_to_a_field_give_the_first_that_is_filled(tmp_path):
    options = Options(assigned=[("Private", "email"), ("Office", "email")])

    import_text(CUSTOMERS, tmp_path, "Office,Private\na@example.com,b@example.com\nc@example.com,\n", options)

    assert [email for _, _, email, *_ in customers()] == ["b@example.com", "c@example.com"]


UNMAPPED = [
    (
        COMPANIES,
        "Namen",
        (),
        "No column matches a field: “Namen”. Map them to name, domain, country, industry, website.",
    ),
    (COMPANIES, "Country,Web", (), "No column matches name: “Country”, “Web”. Map one of them."),
    (
        CUSTOMERS,
        "Country",
        (),
        "No column matches given_name or family_name or full_name or email or phone: “Country”. Map one of them.",
    ),
    (COMPANIES, "Name,Web", [("Site", "website")], "There is no column “Site”. The columns are “Name”, “Web”."),
    (
        COMPANIES,
        "Name,Web",
        [("Web", "site")],
        "There is no field “site”. The fields are name, domain, country, industry, website.",
    ),
]


@pytest.mark.parametrize(("kind", "header", "assigned", "message"), UNMAPPED)
def test_header_that_cannot_be_matched_is_rejected(kind: Kind, header, assigned, message, tmp_path):
    with pytest.raises(ImportFileError) as caught:
        import_text(kind, tmp_path, f"{header}\n{'x,' * header.count(',')}x\n", Options(assigned=assigned))

    assert str(caught.value) == message


def test_header_without_rows_is_rejected(tmp_path):
    with pytest.raises(ImportFileError, match=r"^The file has a header and no rows\.$"):
        import_text(COMPANIES, tmp_path, "name,country\n")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NO", "NO"),
        ("no", "NO"),
        ("NOR", "NO"),
        ("Norway", "NO"),
        ("norway", "NO"),
        ("United States", "US"),
        ("USA", "US"),
        ("UK", "GB"),
        ("Türkiye", "TR"),
        ("Turkiye", "TR"),
        ("Turkey", "TR"),
        ("Korea, Republic of", "KR"),
        ("Republic of Korea", "KR"),
        ("Korea, Democratic People's Republic of", "KP"),
        ("Congo, the Democratic Republic of the", "CD"),
        ("Virgin Islands, British", "VG"),
        ("Viet Nam", "VN"),
        ("Vietnam", "VN"),
        ("South Korea", "KR"),
        ("U.S.A.", "US"),
        ("u.s.", "US"),
        ("England", "GB"),
        ("U.K.", "GB"),
        ("UAE", "AE"),
        ("Holland", "NL"),
        ("The Netherlands", "NL"),
        ("Czech Republic", "CZ"),
        ("P.R. China", "CN"),
        ("Côte d'Ivoire", "CI"),
        ("Cote d\u2019Ivoire", "CI"),
        ("Deutschland", "DE"),
        ("Österreich", "AT"),
        ("OESTERREICH", "AT"),
        ("Schweiz", "CH"),
        ("Großbritannien", "GB"),
        ("GROSSBRITANNIEN", "GB"),
        ("Vereinigte Staaten von Amerika", "US"),
        ("Niederlande", "NL"),
        ("Tschechien", "CZ"),
        ("Türkei", "TR"),
        ("Südkorea", "KR"),
        ("Russland", "RU"),
        ("N/A", "N/A"),
        ("Atlantis", "Atlantis"),
    ],
)
def test_country_is_identified_by_code_and_english_or_german_name(text, code):
    assert country_code(text) == code


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_country_name_means_two_countries(language):
    assert {code: country_code(name) for code, name in get_country_names(language).items()} == {
        code: code for code in get_country_names()
    }
    assert set(codes_by_name().values()) <= set(get_country_names())

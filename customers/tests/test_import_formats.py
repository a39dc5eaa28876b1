"""Files that are not a plain table from the first line on."""

import os
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from core_apps.history.models import Change
from customers.exporting.formats import FORMATS
from customers.exporting.rows import fetch_batches
from customers.importing import COMPANIES, CUSTOMERS, ImportFileError, Report, import_file, workbook
from customers.models import Company, Customer
from customers.tests.factories import make_company, make_customer
from customers.tests.import_files import import_text, omissions, outcome

pytestmark = pytest.mark.django_db

FIELDS = ("given_name", "family_name", "email", "phone", "job_title", "company__name", "country", "notes")
KARI = ("Kari", "Lie", "kari@example.com", "", "", None, "", "")


def customers() -> list[tuple[Any, ...]]:
    return list(Customer.objects.order_by("pk").values_list(*FIELDS))


def import_bytes(file: Path, content: bytes) -> Report:
    file.write_bytes(content)
    return import_file(file, CUSTOMERS)


HEADER = "First Name;Last Name;E-mail\r\n"
ROW = "Kari;Lie;kari@example.com\r\n"
TABLES = {
    "separator stated": f"sep=;\r\n{HEADER}{ROW}",
    "separator stated in quotes": f'"sep=;"\r\n{HEADER}{ROW}',
    "separator stated in capitals": f"SEP=;\r\n{HEADER}{ROW}",
    "separator stated that is rare": f"sep=^\r\n{HEADER}{ROW}".replace(";", "^").replace("sep=^^", "sep=^"),
    "separator stated as blank": f"sep= \r\n{HEADER}{ROW}",
    "separator stated as tab": f"sep=\t\r\n{HEADER}{ROW}".replace(";", "\t"),
    "title above": f"Attendees 2026\r\n\r\n{HEADER}{ROW}",
    "title with delimiters above": f"Attendees, all, of 2026;;\r\n;;\r\n{HEADER}{ROW}",
    "notes above": f'Notes:\r\n"Some addresses are missing, as people hide them."\r\n\r\n{HEADER}{ROW}',
    "title that is a header": f"Company\r\n{HEADER}{ROW}",
    "long title": "".join(f"Title {number}\r\n" for number in range(19)) + HEADER + ROW,
    "short row": f"First Name;Last Name;E-mail;Phone;Notes\r\n{ROW}",
    "header twice": f"First Name;Last Name;E-mail;E-mail\r\n{ROW}",
    "header twice, first blank": "First Name;Last Name;E-mail;E-mail\r\nKari;Lie;;kari@example.com\r\n",
    "headers with marks": f"First name *;LAST NAME:;(E-mail)\r\n{ROW}",
    "German headers": f"Vorname;Nachname;E-Mail-Adresse\r\n{ROW}",
    "German headers of a list": f"Vorname;Name;Mail\r\n{ROW}",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_table_is_found_in_the_file(text, encoding, tmp_path):
    import_bytes(tmp_path / "file.csv", text.encode(encoding))

    assert customers() == [KARI]


def test_columns_with_the_same_header_are_named_and_none_is_lost(tmp_path):
    report = import_text(CUSTOMERS, tmp_path, "Name,Phone,Phone,Notes,Notes\nLie,,+47 22 11 33 44,x,y\n")

    assert report.alternatives == {"phone": ["Phone", "Phone"]}
    assert [(row[3], row[7]) for row in customers()] == [("+47 22 11 33 44", "x\ny")]


def test_german_contacts_of_outlook_are_imported(tmp_path):
    header = "Vorname,Weitere Vornamen,Nachname,Firma,Position,Land/Region geschäftlich,E-Mail-Adresse"
    header += ",Telefon geschäftlich,Mobiltelefon,Notizen"
    row = "Jörg,Maria,Müller,Lichtwerk GmbH,Einkäufer,Österreich,joerg@example.com,01 901820,,Wünscht ein Angebot"

    import_bytes(tmp_path / "kontakte.csv", f"{header}\r\n{row}\r\n".encode("cp1252"))

    assert customers() == [
        (
            "Jörg Maria",
            "Müller",
            "joerg@example.com",
            "01 901820",
            "Einkäufer",
            "Lichtwerk GmbH",
            "AT",
            "Wünscht ein Angebot",
        )
    ]


def test_german_companies_are_imported(tmp_path):
    import_text(COMPANIES, tmp_path, "Firma;Land;Branche;Webseite\nLicht & Söhne;Schweiz;Licht;www.licht.example\n")

    assert list(Company.objects.values_list("name", "country", "industry", "website")) == [
        ("Licht & Söhne", "CH", "Licht", "https://www.licht.example")
    ]


def test_companies_of_hubspot_in_one_cell_give_the_first(tmp_path):
    report = import_text(CUSTOMERS, tmp_path, "Email,Company Name\na@example.com,Solberg AS;Nordlys\n")

    assert omissions(report) == [(2, "Company Name", "Nordlys", "There is room for one value, the first.")]
    assert list(Company.objects.values_list("name", flat=True)) == ["Solberg AS"]


# vCard

CARDS = {
    "2.1": (
        b"BEGIN:VCARD\r\nVERSION:2.1\r\n"
        b"N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg;;;\r\n"
        b"FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg M=C3=BCller\r\n"
        b"TEL;WORK;FAX:+49 30 1\r\nTEL;WORK:+49 30 901820\r\nTEL;CELL:+49 171 1234567\r\n"
        b"EMAIL;INTERNET:joerg@example.com\r\nORG:Lichtwerk;Einkauf\r\nTITLE:Buyer\r\n"
        b"ADR;WORK:;;Weg 1;Berlin;;10115;Germany\r\n"
        b"NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Gr=FC=DFe,=0D=0A=\r\nbis bald\r\n"
        b"PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQ\r\n SkZJRg==\r\n\r\nEND:VCARD\r\n"
    ),
    "3.0": (
        "BEGIN:VCARD\nVERSION:3.0\nFN:Jörg Müller\nN:Müller;Jörg;;;\n"
        "TEL;TYPE=FAX,WORK:+49 30 1\nTEL;TYPE=WORK,VOICE:+49 30 901820\nitem1.TEL;TYPE=CELL:+49 171\n  1234567\n"
        "EMAIL;TYPE=INTERNET:joerg@example.com\nORG:Lichtwerk;Einkauf\nTITLE:Buyer\n"
        "ADR;TYPE=WORK:;;Weg 1\\, Hof;Berlin;;10115;Germany\nNOTE:Grüße\\,\\nbis bald\nEND:VCARD\n"
    ).encode(),
    "4.0": (
        '\ufeffBEGIN:vcard\nVERSION:4.0\nFN:Jörg Müller\nN:Müller;Jörg;;;\nTEL;VALUE=uri;TYPE="work,fax":tel:+49-30-1\n'
        'TEL;VALUE=uri;TYPE="work,voice":tel:+49 30 901820\nTEL;VALUE=uri;PREF=1;TYPE="cell":tel:+49 171 1234567\n'
        "EMAIL:joerg@example.com\nORG:Lichtwerk\nTITLE:Buyer\nADR:;;;;;;Germany\nNOTE:Grüße\\,\\nbis bald\nEND:vcard"
    ).encode(),
}


@pytest.mark.parametrize("content", CARDS.values(), ids=CARDS)
def test_card_of_any_version_is_imported(content, tmp_path):
    report = import_bytes(tmp_path / "card.vcf", content)

    assert [row[:7] for row in customers()] == [
        ("Jörg", "Müller", "joerg@example.com", "+49 171 1234567", "Buyer", "Lichtwerk", "DE")
    ]
    assert customers()[0][7].split() == ["Grüße,", "bis", "bald"]
    assert omissions(report)[0][1:3] == ("phone", "+49 30 901820")


def test_card_with_a_full_name_alone_is_imported(tmp_path):
    import_bytes(tmp_path / "card.vcf", b"BEGIN:VCARD\nVERSION:3.0\nFN:Kari Lie\nEMAIL:kari@example.com\nEND:VCARD\n")

    assert customers() == [KARI]


def test_card_of_an_agent_is_skipped(tmp_path):
    agent = b"AGENT:\nBEGIN:VCARD\nFN:Ola Dahl\nEMAIL:ola@example.com\nEND:VCARD\n"
    import_bytes(tmp_path / "card.vcf", b"BEGIN:VCARD\nFN:Kari Lie\n" + agent + b"EMAIL:kari@example.com\nEND:VCARD\n")

    assert customers() == [KARI]


@pytest.mark.parametrize(
    "note",
    [
        "ENCODING=QUOTED-PRINTABLE:te=00a",
        "ENCODING=QUOTED-PRINTABLE;CHARSET=unicode_escape:te\\ud800a",
        "X-A=b:te\0a",
    ],
)
def test_card_with_signs_that_cannot_be_stored_is_imported_without_them(note, tmp_path):
    import_bytes(tmp_path / "card.vcf", f"BEGIN:VCARD\nFN:Kari Lie\nNOTE;{note}\nEND:VCARD\n".encode())

    assert Customer.objects.get().notes == "tea"


def test_components_of_a_card_are_separated_after_an_escaped_backslash(tmp_path):
    import_bytes(tmp_path / "card.vcf", b"BEGIN:VCARD\nFN:Kari Lie\nORG:Nord\\\\;Sales\\;EU\nEND:VCARD\n")

    assert customers()[0][5] == "Nord\\"


def test_file_with_a_name_in_another_encoding_is_imported(tmp_path):
    import_bytes(tmp_path / os.fsdecode(b"M\xfcnchen.csv"), b"name,email\nKari Lie,kari@example.com\n")

    assert customers() == [KARI]
    assert Change.objects.latest("pk").detail == "M\ufffdnchen.csv"


def test_cards_of_companies_are_imported(tmp_path):
    file = tmp_path / "cards.vcf"
    file.write_text("BEGIN:VCARD\nVERSION:3.0\nFN:Kari Lie\nORG:Nordlys\nURL:www.nordlys.example\nEND:VCARD\n")

    import_file(file, COMPANIES)

    assert list(Company.objects.values_list("name", "website")) == [("Nordlys", "https://www.nordlys.example")]


@pytest.mark.parametrize("kind", ["vcf", "vcf4"])
def test_exported_cards_are_imported(kind, tmp_path):
    make_customer(given_name="Kari; Ann", family_name="Lie, Moe", phone="+47 22 11 33 44", company=make_company())
    before = customers()
    (tmp_path / "cards.vcf").write_bytes(b"".join(FORMATS[kind].write(fetch_batches(Customer.objects.all()))))
    Customer.objects.all().delete()

    import_file(tmp_path / "cards.vcf", CUSTOMERS)

    assert [row[:3] for row in customers()] == [row[:3] for row in before]
    assert Customer.objects.get().phone_e164 == "+4722113344"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"BEGIN:VCARD\nFN:Kari Lie\n", "The card at line 1 has no END:VCARD: the file is incomplete."),
        (
            b"BEGIN:VCARD\nFN:Kari Lie\nBEGIN:VCARD\nFN:Ola Dahl\nEND:VCARD\n",
            "The card at line 1 has no END:VCARD: the file is incomplete.",
        ),
        (
            b"BEGIN:VCARD\n" + b"NOTE:%s\n" % (b"x" * 60_000) * 20,
            "The card at line 1 is longer than 1,048,576 characters.",
        ),
    ],
)
def test_damaged_cards_are_rejected(content, message, tmp_path):
    with pytest.raises(ImportFileError) as caught:
        import_bytes(tmp_path / "card.vcf", content)

    assert str(caught.value) == message


# Excel


def write_workbook(file: Path, *sheets: list[list[Any]]) -> Path:
    book: Any = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"Sheet {number}")
        for row in rows:
            sheet.append(row)
    book.save(file)
    return file


def test_workbook_is_imported(tmp_path):
    rows: list[list[Any]] = [
        ["Attendees 2026"],
        [],
        ["First Name", "Last Name", "E-mail", "Phone", "Notes"],
        ["Kari", "Lie", "kari@example.com", 4722113344, datetime(2026, 11, 29, 9, 30)],
        ["Ola", "Dahl", "ola@example.com", "'+47 22 11 33 45", date(2026, 11, 29)],
        ["Ida", "Vik", "ida@example.com", 4722113346.0, 1.5],
    ]

    report = import_file(write_workbook(tmp_path / "list.xlsx", [], rows, [["Other"]]), CUSTOMERS)

    assert report.description == "Excel workbook, sheet Sheet 2; sheets ignored: Sheet 1, Sheet 3"
    assert [(row[0], row[3], row[7]) for row in customers()] == [
        ("Kari", "4722113344", "2026-11-29 09:30:00"),
        ("Ola", "+47 22 11 33 45", "2026-11-29"),
        ("Ida", "4722113346", "1.5"),
    ]
    assert [line for line, _ in report.sample] == [4, 5, 6]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 and no more", "The file is damaged, or no Excel workbook (.xlsx)."),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
            "The workbook has a password or the format of Excel 2003. Save it as .xlsx without one.",
        ),
    ],
)
def test_file_that_is_no_workbook_is_rejected(content, message, tmp_path):
    with pytest.raises(ImportFileError) as caught:
        import_bytes(tmp_path / "list.xlsx", content)

    assert str(caught.value) == message


def test_damaged_or_empty_workbook_is_rejected(tmp_path):
    file = write_workbook(tmp_path / "list.xlsx", [["Email"], ["kari@example.com"]])
    content = file.read_bytes()
    with pytest.raises(ImportFileError, match="The file is damaged"):
        import_bytes(file, content[: len(content) // 2])
    with pytest.raises(ImportFileError, match=r"The workbook is empty\."):
        import_file(write_workbook(file, []), CUSTOMERS)


def test_small_workbook_that_would_fill_the_memory_is_rejected(tmp_path, monkeypatch):
    file = write_workbook(tmp_path / "list.xlsx", [["Email"], ["kari@example.com"]])
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", bytes(workbook.MAX_IN_MEMORY + 1))
    assert file.stat().st_size < 2**20

    with pytest.raises(ImportFileError, match=r"The workbook is too large\."):
        import_file(file, CUSTOMERS)


def test_row_below_all_that_excel_has_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_LINE", 3)
    file = write_workbook(tmp_path / "list.xlsx", [["Email"], ["a@b.example"], ["c@b.example"], ["d@b.example"]])

    with pytest.raises(ImportFileError, match=r"The workbook is too large\."):
        import_file(file, CUSTOMERS)


@pytest.mark.parametrize(
    ("part", "old", "new"),
    [
        ("xl/worksheets/sheet1.xml", b'r="A2"', b'r="2"'),
        ("xl/worksheets/sheet1.xml", b"<row", b'<row r="x"'),
        ("xl/styles.xml", b"<cellXfs", b"<cellXfs count='-1' x='"),
        ("xl/workbook.xml", b"<sheets>", b"<sheets><sheet/>"),
    ],
)
def test_workbook_that_contradicts_itself_is_rejected(part, old, new, tmp_path):
    file = write_workbook(tmp_path / "list.xlsx", [["Email"], ["kari@example.com"]])
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old in parts[part]
    parts[part] = parts[part].replace(old, new)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)

    with pytest.raises(ImportFileError, match="The file is damaged"):
        import_file(file, CUSTOMERS)


# Known people


@pytest.mark.parametrize(
    ("row", "common"),
    [
        ("Mia,Wolf,m.wolf@wolf.example,+49 30 901833,Other AG", "phone number"),
        ("MIA,WOLF,m.wolf@wolf.example,,Wolf GmbH", "name and company"),
        ("Mia,Wolf,m.wolf@wolf.example,,WOLF  GmbH ", "name and company"),
        ("Mia,Wolf,,+49 30 901833,Wolf GmbH", "phone number"),
    ],
)
def test_known_person_with_another_address_is_named(row, common, tmp_path):
    company = make_company(name="Wolf GmbH", domain="wolf.example")
    make_customer(
        given_name="Mia", family_name="Wolf", email="mia@wolf.example", phone="+49 30 901833", company=company
    )

    report = import_text(CUSTOMERS, tmp_path, f"First Name,Last Name,E-mail,Phone,Company\n{row}\n")

    assert (report.created, report.similar) == (1, 1)
    assert report.lookalikes == [(2, common, "Mia Wolf (Wolf GmbH, mia@wolf.example)")]


def test_namesake_elsewhere_and_known_person_are_not_named_as_similar(tmp_path):
    make_customer(given_name="Mia", family_name="Wolf", email="mia@wolf.example", phone="+49 30 901833")

    text = "First Name,Last Name,E-mail,Phone\nMia,Wolf,mia@other.example,\nMia,Wolf,mia@wolf.example,+49 30 901833\n"

    assert import_text(CUSTOMERS, tmp_path, text).similar == 0
    assert outcome(import_text(CUSTOMERS, tmp_path, text)) == (0, 0, 2, 0, 0)

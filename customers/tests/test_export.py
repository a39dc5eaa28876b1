"""Each format read back by another library; contents, permissions and costs of an export."""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import BytesIO, StringIO
from typing import Any
from zipfile import BadZipFile, ZipFile

import openpyxl
import psutil
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from python_calamine import CalamineWorkbook

from customers.exporting import FORMATS, HEADINGS, Row, limits
from customers.exporting.delimited import write_csv
from customers.exporting.vcard import write_vcards
from customers.exporting.xlsx import write_xlsx
from customers.importing import CUSTOMERS
from customers.models import Customer, Tag
from customers.tests.factories import make_company, make_customer, make_exhibition, make_visit
from customers.tests.import_files import import_text, outcome

LIST, EXPORT = reverse("admin:customers_customer_changelist"), reverse("admin:customers_customer_export")
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def row(**cells: str) -> Row:
    values = dict.fromkeys(HEADINGS, "") | {"public id": ID, "created (UTC)": "2026-03-11 09:30:15"}
    return tuple((values | cells).values())


def export(client, kind: str = "csv", **parameters: object) -> bytes:
    response = client.get(EXPORT, {"format": kind} | parameters, secure=True)
    assert response.status_code == 200
    return b"".join(response.streaming_content)


def table_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.fixture
def ingrid(alice) -> Customer:
    company = make_company(name="Nordlys Lighting, A/S")
    customer = make_customer(
        phone="020 7946 0321", country="GB", job_title="Buyer", company=company, owner=alice, stage="prospect"
    )
    customer.tags.set([Tag.objects.create(name=name) for name in ("press", "A, B")])
    Customer.objects.update(public_id=ID, created_at=datetime(2026, 3, 11, 9, 30, 15, 999_000, tzinfo=UTC))
    return Customer.objects.get()


# CSV


@pytest.mark.django_db
def test_csv_has_a_byte_order_mark_and_a_line_for_each_customer(ingrid, alice, client_of):
    assert export(client_of(alice)).decode() == (
        "\ufeffpublic id,given name,family name,e-mail,phone,phone (E.164),job title,company,domain,country,stage,"
        "source,owner,tags,created (UTC)\r\n"
        f"{ID},Ingrid,Haugen,ingrid@nordlys.example,020 7946 0321,'+442079460321,Buyer,"
        '"Nordlys Lighting, A/S",nordlys.example,GB,prospect,stand,Alice,"A, B, press",2026-03-11 09:30:15\r\n'
    )


def test_csv_formulas_are_escaped():
    content = b"".join(write_csv([[row(company="=1+1")]]))

    assert [line["company"] for line in table_of(content)] == ["'=1+1"]


@pytest.mark.django_db
def test_csv_can_be_imported_again(ingrid, alice, client_of, tmp_path):
    text = export(client_of(alice)).decode().replace("Buyer", "Director")

    report = import_text(CUSTOMERS, tmp_path, text)

    assert outcome(report) == (0, 1, 0, 0, 0)
    assert Customer.objects.values_list("job_title", "company__name", "stage").get() == (
        "Director",
        "Nordlys Lighting, A/S",
        "prospect",
    )


# XLSX

NASTY = [
    'Søn & <Töchter> "GmbH"',
    " spaced ",
    "two\nlines",
    "=1+1",
    "日本語 🎪",
    "]]>",
    "0049",
    "-5",
    "_x",
]


def sheets_by_openpyxl(content: bytes) -> list[list[list[object]]]:
    book = openpyxl.load_workbook(BytesIO(content))
    return [[["" if cell is None else cell for cell in line] for line in sheet.values] for sheet in book.worksheets]


def sheets_by_calamine(content: bytes) -> list[list[list[object]]]:
    book = CalamineWorkbook.from_filelike(BytesIO(content))
    return [[list(line) for line in book.get_sheet_by_name(name).iter_rows()] for name in book.sheet_names]


READERS = [sheets_by_openpyxl, sheets_by_calamine]


@pytest.mark.parametrize("sheets_of", READERS)
def test_xlsx_is_read_as_it_was_written(sheets_of):
    rows = [row(company=text, tags="a\x1fb") for text in NASTY]

    (lines,) = sheets_of(b"".join(write_xlsx([rows[:4], rows[4:]])))

    company, tags, created = (HEADINGS.index(name) for name in ("company", "tags", "created (UTC)"))
    assert lines[0] == list(HEADINGS)
    assert [line[company] for line in lines[1:]] == NASTY
    assert {line[tags] for line in lines[1:]} == {"a, b"}
    assert {line[created] for line in lines[1:]} == {datetime(2026, 3, 11, 9, 30, 15)}


@pytest.mark.parametrize("sheets_of", READERS)
def test_xlsx_continues_on_another_sheet(sheets_of):
    batches = [[row(company=str(number))] for number in range(5)]

    sheets = sheets_of(b"".join(write_xlsx(batches, batches_per_sheet=2)))

    assert [[line[HEADINGS.index("company")] for line in lines] for lines in sheets] == [
        ["company", "0", "1"],
        ["company", "2", "3"],
        ["company", "4"],
    ]


@pytest.mark.parametrize("sheets_of", READERS)
def test_xlsx_without_customers_has_headings(sheets_of):
    assert sheets_of(b"".join(write_xlsx([]))) == [[list(HEADINGS)]]


@pytest.mark.parametrize(("text", "written"), [("a\0b\x01\x0b\x1f\ufffe", "ab, "), ("\x1b[31m", "[31m")])
def test_xlsx_omits_characters_that_xml_cannot_represent(text, written):
    (lines,) = sheets_by_calamine(b"".join(write_xlsx([[row(company=text.replace("\0", ""))]])))

    assert lines[1][HEADINGS.index("company")] == written


@pytest.mark.parametrize("text", ["_x0041_", "a\rb"])
def test_xlsx_has_the_codes_of_excel(text):
    """calamine reads them as Excel does, openpyxl leaves them as they are."""
    (lines,) = sheets_by_calamine(b"".join(write_xlsx([[row(company=text)]])))

    assert lines[1][HEADINGS.index("company")] == text


# vCard


@pytest.mark.django_db
def test_vcard_has_only_contact_details(ingrid, alice, client_of):
    assert export(client_of(alice), "vcf4").decode().split("\r\n") == [
        "BEGIN:VCARD",
        "VERSION:4.0",
        f"UID:urn:uuid:{ID}",
        "FN:Ingrid Haugen",
        "N:Haugen;Ingrid;;;",
        "EMAIL:ingrid@nordlys.example",
        "TEL;VALUE=uri:tel:+442079460321",
        "TITLE:Buyer",
        r"ORG:Nordlys Lighting\, A/S",
        "URL:https://nordlys.example",
        "ADR:;;;;;;United Kingdom",
        r"CATEGORIES:A\, B,press",
        "CREATED:20260311T093015Z",
        "END:VCARD",
        "",
    ]


def test_vcard_3_has_phone_numbers_as_text(ingrid, alice, client_of):
    lines = export(client_of(alice), "vcf").decode().split("\r\n")

    assert lines[1] == "VERSION:3.0"
    assert [line for line in lines if line.startswith(("TEL", "CREATED"))] == ["TEL:+442079460321"]


def vcard_lines(**cells: str) -> list[str]:
    return b"".join(write_vcards([[row(**cells)]])).decode().split("\r\n")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"e-mail": "a@b.example"}, "FN:a@b.example"),
        ({"phone": "030 1234"}, "FN:030 1234"),
        ({"phone": "030 1234"}, "TEL:030 1234"),
        ({"phone": "030 1234567", "phone (E.164)": "+49301234567"}, "TEL:+49301234567"),
        ({"phone": "+49 (0)30 901820 ext. 12", "phone (E.164)": "+4930901820"}, "TEL:+49 (0)30 901820 ext. 12"),
        ({"family name": "Ng;N:x\r\nEND:VCARD"}, r"N:Ng\;N:x\nEND:VCARD;;;;"),
        ({"company": "a\\b\nc\rd"}, r"ORG:a\\b\nc\nd"),
        ({"country": "BO"}, "ADR:;;;;;;Bolivia"),
        ({"country": "XX"}, "ADR:;;;;;;XX"),
    ],
)
def test_vcard_values_are_escaped(cells, expected):
    assert expected in vcard_lines(**cells)


@pytest.mark.parametrize("letter", ["a", "ü", "語", "🎪"])
def test_vcard_lines_are_folded_between_characters(letter):
    title = letter * 200

    content = b"".join(write_vcards([[row(**{"job title": title})]]))

    assert max(map(len, content.split(b"\r\n"))) <= 75
    assert f"TITLE:{title}" in content.decode().replace("\r\n ", "").split("\r\n")


# Which customers


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["Brandt", "Haugen"]),
        ({"q": "haugen"}, ["Haugen"]),
        ({"stage": "prospect"}, ["Brandt"]),
        ({"stage": "prospect", "q": "haugen"}, []),
        ({"p": "nonsense"}, ["Brandt", "Haugen"]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "vcf"])
def test_export_has_what_the_list_shows(kind, parameters, expected, alice, client_of):
    make_customer()
    make_customer(family_name="Brandt", email="", stage="prospect")
    make_customer(family_name="Gone", email="", archived_at=timezone.now())

    content = export(client_of(alice), kind, **parameters).decode()

    assert sorted(set(re.findall("Brandt|Haugen|Gone", content))) == expected


@pytest.mark.django_db
def test_export_is_in_the_order_of_the_list(alice, client_of):
    for name in ("Brandt", "Ahlgren", "Celik"):
        make_customer(family_name=name, email="")
    column = "2"  # the name

    lists = [table_of(export(client_of(alice), **order)) for order in ({}, {"o": column}, {"o": f"-{column}"})]

    names = [[line["family name"] for line in table] for table in lists]
    shown = [
        [customer.family_name for customer in client_of(alice).get(LIST, order, secure=True).context["cl"].result_list]
        for order in ({}, {"o": column}, {"o": f"-{column}"})
    ]
    assert names == shown


# For whom


@pytest.mark.django_db
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("role", "status"), [("Administrator", 200), ("Manager", 200), ("Stand staff", 403), ("Read-only", 403)]
)
def test_export_is_for_roles_that_may(role, status, kind, member_of, client_of):
    visit = make_visit()

    response = client_of(member_of(role, visit.exhibition)).get(EXPORT, {"format": kind}, secure=True)

    assert response.status_code == status
    assert LogEntry.objects.count() == (status == 200)
    b"".join(response)


@pytest.mark.django_db
def test_export_is_offered_with_the_permission(member_of, client_of):
    links = {
        role: re.findall(
            r'href="([^"]+/export/[^"]+)"',
            client_of(member_of(role)).get(LIST, {"q": "a&b", "p": "cursor"}, secure=True).content.decode(),
        )
        for role in ("Manager", "Read-only")
    }

    assert links == {
        "Manager": [f"{EXPORT}?q=a%26b&amp;format={kind}" for kind in ("csv", "xlsx", "vcf", "vcf4")],
        "Read-only": [],
    }


@pytest.mark.django_db
def test_export_of_stand_staff_has_the_customers_of_their_exhibition(member_of, client_of):
    visit = make_visit()
    make_visit(customer=make_customer(family_name="Elsewhere", email=""), exhibition=make_exhibition(edition="2025"))
    person = member_of("Stand staff", visit.exhibition)
    person.user_permissions.add(Permission.objects.get(codename="export_customer"))

    assert [line["family name"] for line in table_of(export(client_of(person)))] == ["Haugen"]


@pytest.mark.django_db
def test_export_without_the_right_to_the_list_is_refused(member_of, client_of):
    person = member_of("Read-only")
    person.groups.clear()
    person.user_permissions.add(Permission.objects.get(codename="export_customer"))

    assert client_of(person).get(EXPORT, {"format": "csv"}, secure=True).status_code == 403


@pytest.mark.django_db
def test_export_without_login_leads_to_the_login_page(client):
    response = client.get(EXPORT, {"format": "csv"}, secure=True)

    assert response.headers["Location"] == f"{reverse('admin:login')}?next={EXPORT}%3Fformat%3Dcsv"


@pytest.mark.django_db
@pytest.mark.parametrize("parameters", [{}, {"format": ""}, {"format": "../csv"}, {"format": "pdf"}])
def test_export_in_an_unknown_format_names_those_there_are(parameters, alice, client_of):
    response = client_of(alice).get(EXPORT, parameters, secure=True)

    assert (response.status_code, response.content) == (400, b"Choose a format: csv, xlsx, vcf, vcf4.")


@pytest.mark.django_db
@pytest.mark.parametrize("filters", [{"nonsense": "1"}, {"owner__password": "a"}, {"created_at__gte": "yesterday"}])
def test_export_with_an_unknown_filter_is_refused(filters, alice, client_of):
    response = client_of(alice).get(EXPORT, {"format": "csv"} | filters, secure=True)

    assert (response.status_code, LogEntry.objects.count()) == (400, 0)


@pytest.mark.django_db
def test_export_is_not_posted(alice, client_of):
    assert client_of(alice).post(EXPORT, {"format": "csv"}, secure=True).status_code == 405


# How it is sent


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("vcf", "text/vcard; charset=utf-8"),
    ],
)
def test_export_is_an_attachment_that_is_not_cached(kind, content_type, alice, client_of):
    make_customer()

    response = client_of(alice).get(EXPORT, {"format": kind}, secure=True)

    assert response.headers["Content-Type"] == content_type
    assert response.headers["Content-Disposition"] == f'attachment; filename="customers-{date.today()}.{kind}"'
    assert response.headers["X-Accel-Buffering"] == "no"
    assert {"no-store", "private"} <= set(response.headers["Cache-Control"].split(", "))
    assert b"".join(response.streaming_content)


@pytest.mark.django_db
def test_export_is_logged(alice, client_of, caplog):
    make_customer()

    export(client_of(alice), "vcf", stage="lead", q="Haugen")

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr, entry.change_message) == (
        alice,
        "customers.vcf",
        "Export as vCard (q=Haugen&stage=lead): 1 rows, complete",
    )
    assert f"User {alice.pk} exported customers.vcf: 1 rows, complete" in caplog.messages


@pytest.fixture
def many(request) -> int:
    """As many customers."""
    number: int = request.param
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers_customer (given_name, family_name, email, phone, phone_e164, job_title, country,"
            " stage, source, notes, photo) SELECT 'Given ' || n, repeat('Family ', 10), n || '@x.example', '', '',"
            " 'Buyer', 'DE', 'lead', 'stand', '', '' FROM generate_series(1, %s) n",
            [number],
        )
    return number


@pytest.mark.parametrize("kind", FORMATS)
def test_first_byte_comes_before_the_second_batch_is_read(kind):
    read: list[int] = []

    def batches() -> Iterator[list[Row]]:
        for number in range(3):
            read.append(number)
            yield [row(company=str(number))] * 1000

    parts = iter(FORMATS[kind].write(batches()))

    assert (len(next(parts)) > 0, read) == (True, [0])


def cursors() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        (number,) = cursor.fetchone()
    return int(number)


@pytest.mark.django_db
@pytest.mark.parametrize("many", [2001], indirect=True)
@pytest.mark.parametrize("kind", FORMATS)
def test_first_byte_comes_while_the_database_has_more(kind, many, alice, client_of):
    content = client_of(alice).get(EXPORT, {"format": kind}, secure=True).streaming_content

    open_at_first = next(content) and cursors()
    rest = b"".join(content)

    assert (open_at_first, len(rest) > 0, cursors()) == (1, True, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("many", [50_000], indirect=True)
def test_memory_of_an_export_does_not_grow_with_its_rows(many, alice, client_of):
    client, process = client_of(alice), psutil.Process()
    for kind in FORMATS:
        export(client, kind, q="nobody")
        before = process.memory_info().rss
        response = client.get(EXPORT, {"format": kind}, secure=True)
        grown = max(process.memory_info().rss - before for part in response.streaming_content) / 2**20
        print(f"{kind} of {many:,} rows grew the process by {grown:.1f} MB")
        assert grown < 15
    assert {entry.change_message.rpartition(": ")[2] for entry in LogEntry.objects.all()} == {
        "0 rows, complete",
        "50,000 rows, complete",
    }


@pytest.mark.django_db
def test_export_takes_the_same_queries_for_1_and_3_rows(alice, client_of):
    client, counts = client_of(alice), []
    for number in (1, 2, 3):
        customer = make_customer(email=f"{number}@x.example", company=make_company(domain=f"{number}.example"))
        customer.tags.set([Tag.objects.create(name=str(number))])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            export(client)
        counts.append(len(queries))

    assert counts == [counts[0]] * 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("many", [2001], indirect=True)
@pytest.mark.parametrize("kind", FORMATS)
def test_aborted_export_is_logged_and_cancels_its_query(kind, many, alice, client_of):
    response = client_of(alice).get(EXPORT, {"format": kind}, secure=True)
    next(response.streaming_content)

    response.close()

    assert LogEntry.objects.get().change_message.endswith("): 0 rows, aborted")
    assert cursors() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("many", [3001], indirect=True)
@pytest.mark.parametrize("kind", FORMATS)
def test_export_that_fails_midway_does_not_look_complete(kind, many, alice, client_of):
    content = client_of(alice).get(EXPORT, {"format": kind}, secure=True).streaming_content
    received = next(content)
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    other.close()

    with pytest.raises(OperationalError):
        received += b"".join(content)

    assert LogEntry.objects.get().change_message.endswith(" rows, aborted")
    if kind == "xlsx":
        with pytest.raises(BadZipFile):
            ZipFile(BytesIO(received))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("many", [2001], indirect=True)
def test_export_waits_for_a_slow_reader_and_no_other_request_does(many, alice, client_of):
    def limit() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            (value,) = cursor.fetchone()
        return str(value)

    content = client_of(alice).get(EXPORT, {"format": "csv"}, secure=True).streaming_content
    next(content)
    during = limit()
    b"".join(content)

    assert (during, limit()) == ("10min", "30s")


# How many at once


@pytest.fixture
def elsewhere() -> Iterator[Any]:
    """A connection of another process."""
    other = connection.copy()
    with other.cursor() as cursor:
        yield cursor
    other.close()


def lock(cursor: Any, key: int, number: int) -> None:
    cursor.execute("SELECT pg_advisory_lock(%s, %s)", [key, number])


@pytest.mark.django_db
def test_second_export_of_a_user_is_refused_until_the_first_has_ended(alice, bob, client_of, elsewhere):
    lock(elsewhere, limits.USER, alice.pk)

    response = client_of(alice).get(EXPORT, {"format": "csv"}, secure=True)

    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    assert "yours is still running" in response.text
    assert LogEntry.objects.count() == 0
    assert export(client_of(bob))
    elsewhere.execute("SELECT pg_advisory_unlock_all()")
    assert export(client_of(alice))


@pytest.mark.django_db
def test_export_above_the_limit_is_refused(alice, client_of, elsewhere):
    for number in range(limits.MAX_EXPORTS):
        lock(elsewhere, limits.SLOT, number)

    response = client_of(alice).get(EXPORT, {"format": "csv"}, secure=True)

    assert (response.status_code, response.headers["Retry-After"]) == (429, "60")
    assert "Too many exports" in response.text
    elsewhere.execute("SELECT pg_advisory_unlock(%s, 2)", [limits.SLOT])
    assert export(client_of(alice))


@pytest.mark.django_db
@pytest.mark.parametrize("is_read", [True, False])
def test_export_holds_its_place_until_it_is_closed(is_read, alice, client_of, elsewhere):
    def locks() -> list[tuple[int, int]]:
        elsewhere.execute(
            "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1"
        )
        return list(elsewhere.fetchall())

    make_customer()
    response = client_of(alice).get(EXPORT, {"format": "csv"}, secure=True)
    during = locks()
    b"".join(response.streaming_content) if is_read else response.close()

    assert (during, locks()) == ([(limits.SLOT, 0), (limits.USER, alice.pk)], [])

"""Certificates of attendance: what is in the PDFs, and for whom they are."""

import socket
import subprocess
import sys
from datetime import date
from html import unescape
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import strip_tags
from pypdf import PdfReader

from core_apps.media.pdf import renderer, rendering
from core_apps.media.pdf.renderer import RenderingError, start_renderer
from core_apps.tasks.models import Task
from core_apps.tasks.running import LEASE, run_due_tasks
from customers.certificates import build_html
from customers.models import Customer, Download, Visit
from customers.tests.factories import make_company, make_customer, make_exhibition, make_visit
from customers.tests.media import list_files, read_file, write_file

# The progress is written by a connection of its own.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]
# Pango is a library of the system, which `make test` does without.
needs_pango = pytest.mark.skipif(
    subprocess.run(
        [sys.executable, "-I", rendering.__file__], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode
    == rendering.UNAVAILABLE,
    reason="Pango is not installed",
)


@pytest.fixture
def client(carol, client_of):
    return client_of(carol)


@pytest.fixture
def visit(carol) -> Visit:
    customer = make_customer(company=make_company(), job_title="Buyer", notes="Haggles.")
    exhibition = make_exhibition(venue="Messe", city="Hamburg", country="DE")
    return make_visit(
        customer=customer,
        exhibition=exhibition,
        stand="7.1 C042",
        interests=["LED", "a < b"],
        note="Rich.",
        captured_by=carol,
    )


def ask(client, name: str, key: int, status=302, language="en"):
    url = reverse(f"admin:customers_{name}", args=[key])
    assert client.post(url, secure=True, headers={"Accept-Language": language}).status_code == status
    return Download.objects.order_by("created_at").last()


def ask_and_run(client, *arguments, **options):
    download = ask(client, *arguments, **options)
    run_due_tasks("certificates")
    download.refresh_from_db()
    return download


def read(download):
    assert (download.state, download.error) == ("done", "")
    return read_file(download.file.name)


def read_pdf(content: bytes) -> Any:
    return PdfReader(BytesIO(content))


def read_text(content: bytes) -> str:
    return " ".join(page.extract_text() for page in read_pdf(content).pages).strip()


def list_lines(visit: Visit) -> list[str]:
    """Return the lines of the document before it becomes a PDF."""
    rows = build_html(visit).partition("<body>")[2].replace("</th>", " ").replace("<br>", "\n").splitlines()
    return [line for line in (unescape(strip_tags(row)) for row in rows) if line.strip()]


def render(html: str) -> bytes:
    with start_renderer() as render_document:
        return render_document(html)


def test_exhibition_with_the_longest_name_has_a_download(client):
    exhibition = make_exhibition(name="M" * 200, edition="2" * 50)

    assert ask(client, "exhibition_certificates", exhibition.pk).name == f"certificates-{'M' * 50}.zip"


def test_certificate_says_who_visited_what_and_when(visit):
    assert list_lines(visit) == [
        "Certificate of attendance",
        "This certifies that",
        "Ingrid Haugen",
        "Buyer",
        "Nordlys Lighting",
        "visited us at",
        "Harbour Fair 2026",
        "Place Messe, Hamburg, Germany",
        "Exhibition March 10, 2026 \N{EN DASH} March 12, 2026",
        "Visit March 11, 2026, 10:30 AM Europe/Berlin",
        "Stand 7.1 C042",
        "Interests LED, a < b",
        "Your contact Carol",
        f"Issued on {date_format(timezone.localdate())}",
        str(visit.public_id),
    ]


def test_certificate_without_optional_fields_has_no_empty_rows():
    exhibition = make_exhibition(starts_on=date(2026, 3, 11), ends_on=date(2026, 3, 11))
    customer = make_customer(given_name="", family_name="")

    lines = list_lines(make_visit(customer=customer, exhibition=exhibition))

    assert lines[2:-2] == [
        "Our guest",
        "visited us at",
        "Harbour Fair 2026",
        "Exhibition March 11, 2026",
        "Visit March 11, 2026, 10:30 AM Europe/Berlin",
    ]


@needs_pango
def test_certificate_of_a_visit_is_a_pdf_with_its_name(client, visit):
    download = ask_and_run(client, "visit_certificate", visit.pk)

    assert download.name == "Ingrid_Haugen-2026-03-11.pdf"
    assert "Ingrid Haugen" in read_text(read(download))


@needs_pango
def test_certificate_is_in_the_language_of_who_asks(client, visit):
    download = ask_and_run(client, "visit_certificate", visit.pk, language="de")

    pdf = read_pdf(read(download))
    assert pdf.trailer["/Root"]["/Lang"] == "de"
    assert pdf.metadata.title == "Teilnahmebestätigung: Ingrid Haugen"
    assert "11. März 2026 10:30" in pdf.pages[0].extract_text()


@needs_pango
def test_certificate_is_accessible(visit):
    """As PDF/UA-1 requires: tagged, with a language and a title that is shown, the QR code with a text."""
    pdf = read_pdf(render(build_html(visit)))

    root = pdf.trailer["/Root"]
    assert (root["/MarkInfo"]["/Marked"].value, root["/ViewerPreferences"]["/DisplayDocTitle"].value) == (True, True)
    assert root["/Lang"] == "en"
    assert pdf.metadata.title == "Certificate of attendance: Ingrid Haugen"
    assert b'pdfuaid:part="1"' in root["/Metadata"].get_data()
    tags = list_tags(root["/StructTreeRoot"])
    assert {"/H1", "/P", "/Table", "/TR", "/TH", "/TD", "/Figure"} <= {tag for tag, _text in tags}
    assert [text for tag, text in tags if tag == "/Figure"] == ["QR code of the number of this visit"]


def list_tags(element) -> list[tuple[str, str]]:
    """Return the tag and the alternative text of the element and of all those in it."""
    children = element.get("/K", [])
    children = children if isinstance(children, list) else [children]
    own = [(str(element["/S"]), str(element.get("/Alt", "")))] if "/S" in element else []
    inner = [one.get_object() for one in children]
    return own + [tag for one in inner if isinstance(one, dict) for tag in list_tags(one)]


@needs_pango
@pytest.mark.parametrize("address", ["http://{host}/a.png", "https://{host}/a.png", "file:///etc/hostname"])
@pytest.mark.parametrize("tag", ['<img src="{url}" alt="">', '<link rel="stylesheet" href="{url}">'])
def test_nothing_is_fetched(tag, address):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = address.format(host=f"127.0.0.1:{server.getsockname()[1]}")

        pdf = render(f'<html lang="en"><title>Test</title><p>Text {tag.format(url=url)}')

        assert read_text(pdf) == "Text"
        with pytest.raises(TimeoutError):
            server.accept()


@needs_pango
@pytest.mark.parametrize(
    ("given", "family"),
    [
        ("محمد", "الأنصاري"),
        ("太郎", "山田"),
        ("Maximiliane-Alexandrina " * 4, "Donaudampfschifffahrts" * 4),
        ("<b>Ann</b>", "{{ name }}"),
    ],
)
def test_unusual_names_fit_on_the_page(given, family, visit):
    visit.customer.given_name, visit.customer.family_name = given.strip(), family

    pdf = read_pdf(render(build_html(visit)))

    assert len(pdf.pages) == 1
    assert pdf.metadata.title == f"Certificate of attendance: {given.strip()} {family}"


@needs_pango
def test_certificates_of_an_exhibition_are_one_archive(client, visit):
    for name in ("Ahlgren", "山田", "../../x"):
        make_visit(customer=make_customer(family_name=name, email=f"{name}@x.example"), exhibition=visit.exhibition)
    make_visit(customer=make_customer(email="a@x.example", archived_at=timezone.now()), exhibition=visit.exhibition)
    make_visit(customer=make_customer(email="b@x.example"), exhibition=make_exhibition(edition="2027"))

    download = ask_and_run(client, "exhibition_certificates", visit.exhibition.pk)

    assert (download.name, download.done, download.total) == ("certificates-Harbour_Fair_2026.zip", 4, 4)
    archive = ZipFile(BytesIO(read(download)))
    names = sorted(name[6:] for name in archive.namelist())
    assert names == sorted(f"Ingrid_{name}-2026-03-11.pdf" for name in ("....x", "Ahlgren", "Haugen", "山田"))
    titles = [read_pdf(archive.read(name)).metadata.title for name in archive.namelist()]
    people = sorted(title.removeprefix("Certificate of attendance: ") for title in titles)
    assert people == sorted(f"Ingrid {name}" for name in ("../../x", "Ahlgren", "Haugen", "山田"))


@needs_pango
def test_archive_has_the_visits_that_its_owner_may_see_when_it_is_made(client, carol, visit):
    elsewhere = make_visit(customer=make_customer(email="b@x.example"), exhibition=make_exhibition(edition="2027"))
    downloads = [ask(client, "exhibition_certificates", one.exhibition.pk) for one in (visit, elsewhere)]
    carol.exhibitions.set([visit.exhibition])
    carol.user_permissions.set([*carol.groups.get().permissions.exclude(codename="view_every_customer")])
    carol.groups.clear()

    run_due_tasks("certificates")

    for download in downloads:
        download.refresh_from_db()
    assert len(ZipFile(BytesIO(read(downloads[0]))).namelist()) == 1
    assert (downloads[1].state, downloads[1].error) == ("failed", "There is no visit that you may see.")
    assert len(list_files()) == 1


@pytest.mark.parametrize(
    ("role", "page", "status"),
    [
        ("Read-only", "visit_certificate", 302),
        ("Stand staff", "visit_certificate", 302),
        ("Manager", "exhibition_certificates", 302),
        ("Stand staff", "exhibition_certificates", 403),
        ("Read-only", "exhibition_certificates", 403),
    ],
)
def test_one_certificate_is_for_whoever_sees_the_visit_all_of_them_for_who_may_export(
    role, page, status, visit, member_of, client_of
):
    person = member_of(role, visit.exhibition)
    key = visit.pk if page == "visit_certificate" else visit.exhibition.pk

    ask(client_of(person), page, key, status)

    assert Task.objects.filter(queue="certificates").count() == (status == 302)
    model = page.partition("_")[0]
    shown = client_of(person).get(reverse(f"admin:customers_{model}_change", args=[key]), secure=True).text
    assert (reverse(f"admin:customers_{page}", args=[key]) in shown) == (status == 302)


def test_certificate_of_a_visit_that_one_may_not_see_is_not_found(visit, member_of, client_of, charlie):
    ask(client_of(member_of("Stand staff", make_exhibition(edition="2027"))), "visit_certificate", visit.pk, 404)
    ask(client_of(charlie), "visit_certificate", visit.pk, 302)  # to the login page

    assert Download.objects.count() == 0


@needs_pango
def test_archive_of_a_killed_worker_is_one_complete_file(client, visit):
    download = ask(client, "exhibition_certificates", visit.exhibition.pk)
    make_visit(customer=make_customer(email="b@x.example"), exhibition=visit.exhibition)
    write_file(download.build_file_name(1), b"PK half")
    Task.objects.update(state="running", attempts=1, due_at=Now() - LEASE)

    run_due_tasks("certificates")

    download.refresh_from_db()
    assert list_files() == [download.file.name]
    archive = ZipFile(BytesIO(read(download)))
    assert (archive.testzip(), len(archive.namelist())) == (None, 2)


@needs_pango
def test_cancelled_archive_leaves_nothing(client, visit, monkeypatch):
    for number in range(30):
        make_visit(customer=make_customer(email=f"{number}@x.example"), exhibition=visit.exhibition)
    download = ask(client, "exhibition_certificates", visit.exhibition.pk)
    found: list[str] = []

    def cancel(customer: Customer) -> str:
        found[:] = list_files()
        client.post(reverse("admin:customers_download_cancel", args=[download.pk]), secure=True)
        return "Ann"

    monkeypatch.setattr(Customer, "full_name", property(cancel))
    monkeypatch.setattr("core_apps.tasks.jobs.REPORT_SECONDS", 0.05)

    run_due_tasks("certificates")

    download.refresh_from_db()
    assert (download.state, len(found), list_files()) == ("cancelled", 1, [])
    assert download.done < 31


@needs_pango
def test_document_that_takes_too_long_is_given_up(client, visit, monkeypatch):
    monkeypatch.setattr(renderer, "MAX_SECONDS", 0.01)

    download = ask_and_run(client, "visit_certificate", visit.pk)

    assert (download.state, list_files()) == ("failed", [])
    assert download.error == f"{visit}: The document takes too much time or memory to be made."


@needs_pango
def test_document_that_takes_too_much_memory_ends_alone():
    huge = "<html><title>Huge</title>" + "<p>" * 200_000

    with start_renderer() as render_document, pytest.raises(RenderingError, match="too much time or memory"):
        render_document(huge)


def test_without_pango_the_page_says_what_to_install(client, visit, monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(f"import sys; sys.exit({rendering.UNAVAILABLE})")
    monkeypatch.setattr(renderer, "PROGRAM", str(program))

    download = ask_and_run(client, "visit_certificate", visit.pk)

    assert download.state == "failed"
    page = client.get(reverse("admin:customers_download_change", args=[download.pk]), secure=True).text
    assert "apt install libpango-1.0-0" in page

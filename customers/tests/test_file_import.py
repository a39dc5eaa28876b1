"""Imports in the browser: the pages, and the background tasks behind them."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from core_apps.history.models import Change
from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks
from customers.background import delete_old_imports
from customers.importing import jobs
from customers.importing.problems import ImportBusyError
from customers.models import Customer, FileImport
from customers.tests.factories import make_customer
from customers.tests.media import fetch, list_files

# The progress is written by a connection of its own.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("media")]

ADD = reverse("admin:customers_fileimport_add")
PEOPLE = "First Name,Last Name,E-mail,Badge\nAda,Lovelace,ada@example.com,7\nAlan,Turing,alan@example.com,8\n"


@pytest.fixture
def client(carol, client_of):
    return client_of(carol)


def upload(client: Client, content: str | bytes, name="people.csv", kind="customer", language="en") -> FileImport:
    data = content if isinstance(content, bytes) else content.encode()
    body = {"kind": kind, "file": SimpleUploadedFile(name, data)}
    response = client.post(ADD, body, secure=True, headers={"Accept-Language": language})
    assert response.status_code == 302, response.context["errors"]
    return FileImport.objects.get()


def act(client: Client, job: FileImport, name: str, status=302, **data):
    url = reverse(f"admin:customers_fileimport_{name}", args=[job.pk])
    assert client.post(url, data, secure=True).status_code == status
    run_due_tasks("progress")
    return FileImport.objects.filter(pk=job.pk).first()


def show(client: Client, job: FileImport) -> str:
    return client.get(reverse("admin:customers_fileimport_change", args=[job.pk]), secure=True).text


def list_sample(job: FileImport) -> list[dict[str, str]]:
    return [dict(values) for _line, values in job.report["sample"]]


def test_uploaded_file_is_checked_and_nothing_is_written(client):
    job = upload(client, PEOPLE)
    assert "Checking the file. Nothing is written." in show(client, job)

    run_due_tasks("progress")
    job.refresh_from_db()

    assert (job.state, job.step, job.done, job.total) == ("done", "check", len(PEOPLE), len(PEOPLE))
    assert Customer.objects.count() == 0
    assert list_sample(job) == [
        {"given name": "Ada", "family name": "Lovelace", "e-mail": "ada@example.com", "stage": "lead"},
        {"given name": "Alan", "family name": "Turing", "e-mail": "alan@example.com", "stage": "lead"},
    ]
    page = show(client, job)
    assert "What an import would do" in page
    assert "ada@example.com" in page


def test_checked_file_is_imported_by_its_owner_and_can_be_reverted(client, carol):
    known = make_customer(given_name="Ada", family_name="", email="ada@example.com")
    job = upload(client, PEOPLE)
    run_due_tasks("progress")

    job = act(client, job, "import")

    assert sorted(Customer.objects.values_list("given_name", "family_name")) == [
        ("Ada", "Lovelace"),
        ("Alan", "Turing"),
    ]
    assert (job.report["created"], job.report["updated"], job.report["written"]) == (1, 1, True)
    change = Change.objects.get(pk=job.change or 0)
    assert (change.user, change.source, change.detail) == (carol, "import", "people.csv")
    assert "Revert this import" in show(client, job)

    job = act(client, job, "revert")

    assert list(Customer.objects.values_list("pk", "family_name")) == [(known.pk, "")]
    assert "Reverted: 1 restored, 1 deleted." in show(client, job)
    assert "Revert this import" not in show(client, job)


def test_list_leads_to_an_import_of_its_kind(client):
    page = client.get(reverse("admin:customers_company_changelist"), secure=True).text
    assert f'href="{ADD}?kind=company"' in page

    form = client.get(f"{ADD}?kind=company", secure=True)

    assert form.context["adminform"].form.initial == {"kind": "company"}
    assert 'type="file"' in form.text


def test_columns_and_encoding_are_chosen_by_sight(client):
    job = upload(client, "Name;Stand;Bemerkung\nZoë;A1;schön\n".encode("windows-1250"))
    run_due_tasks("progress")
    job.refresh_from_db()
    assert job.report["columns"] == [["Name", "full_name"], ["Stand", ""], ["Bemerkung", "notes"]]

    choices = {"encoding": "windows-1250", "column_0": "family_name", "column_1": "job_title", "column_2": ""}
    job = act(client, job, "check", **choices)

    assert list_sample(job) == [{"family name": "Zoë", "job title": "A1", "stage": "lead"}]
    assert Customer.objects.count() == 0
    act(client, job, "import")
    assert Customer.objects.values_list("family_name", "job_title", "notes").get() == ("Zoë", "A1", "")


def test_file_without_a_known_column_shows_its_columns(client):
    job = upload(client, "Who,Where\nHopper,Arlington\n")
    run_due_tasks("progress")
    job.refresh_from_db()
    assert job.state == "failed"
    assert "No column matches a field: “Who”, “Where”." in show(client, job)

    job = act(client, job, "check", column_0="family_name")

    assert list_sample(job) == [{"family name": "Hopper", "stage": "lead"}]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("people.csv", "", "The submitted file is empty."),
        ("people.exe", PEOPLE, "File extension “exe” is not allowed."),
    ],
)
def test_file_that_cannot_be_one_is_refused_at_once(client, name, content, reason):
    response = client.post(ADD, {"kind": "customer", "file": SimpleUploadedFile(name, content.encode())}, secure=True)

    assert reason in str(response.context["errors"])
    assert FileImport.objects.count() == Task.objects.count() == 0


def test_rejected_rows_are_downloaded_corrected_and_imported(client):
    job = upload(
        client, "First Name,Last Name,E-mail\nAda,Lovelace,ada@example.com\n,,\nAlan,,not an address\n,,nobody\n"
    )
    run_due_tasks("progress")
    job = act(client, job, "import")
    assert (job.report["created"], job.report["rejected"], job.report["left_out"]) == (2, 1, 1)

    url = reverse("admin:customers_fileimport_rejected", args=[job.pk])
    response = client.get(url, secure=True)
    rows = fetch(response)[1].decode("utf-8-sig").splitlines()

    assert rows[0] == "line,column,value,reason,First Name,Last Name,E-mail"
    assert len(rows) == 3


def test_job_is_for_its_owner_alone(client, member_of, client_of):
    job = upload(client, PEOPLE)
    stranger = client_of(member_of("Manager", name="Mallory"))

    for name in ("progress", "rejected"):
        url = reverse(f"admin:customers_fileimport_{name}", args=[job.pk])
        assert stranger.get(url, secure=True).status_code == 404
    for name in ("check", "import", "revert", "cancel"):
        act(stranger, job, name, status=404)
    url = reverse("admin:customers_fileimport_change", args=[job.pk])
    assert stranger.get(url, secure=True).status_code == 404
    assert job.name not in stranger.get(reverse("admin:customers_fileimport_changelist"), secure=True).text


@pytest.mark.parametrize("role", ["Stand staff", "Read-only"])
def test_import_needs_its_permission(role, member_of, client_of):
    assert client_of(member_of(role)).get(ADD, secure=True).status_code == 403


def test_cancelled_import_writes_nothing_and_can_be_repeated(client):
    job = upload(client, PEOPLE)
    run_due_tasks("progress")
    url = reverse("admin:customers_fileimport_import", args=[job.pk])
    client.post(url, secure=True)
    client.post(url, secure=True)  # a second click

    job = act(client, job, "cancel")

    assert (job.state, Customer.objects.count()) == ("cancelled", 0)
    assert Task.objects.exclude(state="done").count() == 0
    assert "Cancelled. Nothing was written." in show(client, job)
    act(client, job, "import")
    assert Customer.objects.count() == 2


def test_progress_is_that_of_the_job(client):
    job = upload(client, PEOPLE)
    url = reverse("admin:customers_fileimport_progress", args=[job.pk])

    assert client.get(url, secure=True).json() == {"active": True, "done": 0, "total": len(PEOPLE)}
    run_due_tasks("progress")
    assert client.get(url, secure=True).json() == {"active": False, "done": len(PEOPLE), "total": len(PEOPLE)}


def test_import_that_always_finds_another_one_fails_and_says_so(client, monkeypatch):
    def find_another(*_arguments):
        raise ImportBusyError("Another import is running.")

    job = upload(client, PEOPLE)
    monkeypatch.setattr(jobs, "import_file", find_another)
    for _ in range(6):
        run_due_tasks("progress")
        Task.objects.update(due_at=Now())

    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "Another import is running.")


def test_old_imports_are_deleted_with_their_files(client):
    upload(client, PEOPLE)
    run_due_tasks("progress")
    delete_old_imports.enqueue()
    run_due_tasks("progress")
    assert FileImport.objects.count() == 1

    FileImport.objects.update(created_at=Now() - timedelta(days=8))
    delete_old_imports.enqueue()
    run_due_tasks("progress")

    assert FileImport.objects.count() == 0
    assert list_files() == []


def test_imports_go_with_their_owner(client, carol):
    upload(client, PEOPLE)

    carol.delete()

    assert FileImport.objects.count() == 0
    assert list_files() == []


def test_import_of_companies_shows_their_fields(client):
    job = upload(client, "Company,Web\nNordlys,www.nordlys.example\n", kind="company")
    run_due_tasks("progress")
    job.refresh_from_db()

    assert list_sample(job) == [{"name": "Nordlys", "website": "https://www.nordlys.example"}]


def test_thousand_columns_are_mapped_by_sight(client):
    header = ",".join(["Surname", *(f"c{number}" for number in range(1, 1000))])
    job = upload(client, f"{header}\nHopper\n")
    run_due_tasks("progress")

    choices = {f"column_{number}": "" for number in range(1000)} | {"column_999": "notes", "column_0": "family_name"}
    job = act(client, job, "check", encoding="", csrfmiddlewaretoken="as of a browser", **choices)

    assert list_sample(job) == [{"family name": "Hopper", "stage": "lead"}]


def test_problems_are_in_the_language_of_their_reader(client):
    rows = "Vorname,E-Mail,Telefon\nAda,keine Adresse,4.93E+11\n"
    job = upload(client, rows, language="de")
    run_due_tasks("progress")
    job.refresh_from_db()

    [row] = job.report["omissions"]
    first, second = (problem["reason"] for problem in row["problems"])
    assert first.startswith("Eine Tabellenkalkulation hat diese Nummer gerundet.")
    assert second == "Gib eine gültige E-Mail Adresse an."  # Django's own


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", 'Email\n"a', "Der Datensatz in Zeile 2 hat ein Anführungszeichen, das nicht geschlossen wird."),
        ("a.csv", ",".join(f"c{n}" for n in range(40)), "und 10 weitere"),
    ],
)
def test_problem_of_the_file_is_in_the_language_of_its_reader(client, name, content, message):
    job = upload(client, content, name, language="de")
    run_due_tasks("progress")
    job.refresh_from_db()

    assert message in job.error

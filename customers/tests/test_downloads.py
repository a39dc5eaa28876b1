"""Files that a worker makes: large exports, their progress, and for whom they are."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models.functions import Now
from django.urls import reverse

from core_apps.cache.versioned_cache import current_version
from core_apps.tasks.jobs import JobCancelledError
from core_apps.tasks.models import Task
from core_apps.tasks.running import LEASE, run_due_tasks
from customers.admin import export
from customers.background import delete_old_downloads
from customers.downloads import make_file
from customers.exporting import limits
from customers.models import Customer, Download
from customers.tests.factories import make_customer, make_exhibition, make_visit
from customers.tests.media import fetch as fetch_file
from customers.tests.media import list_files, write_file

# The progress is written by a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)

EXPORT = reverse("admin:customers_customer_export")


@pytest.fixture(autouse=True)
def _few_are_sent_at_once(media, monkeypatch):
    monkeypatch.setattr(export, "MAX_DIRECT", 2)


@pytest.fixture
def client(carol, client_of):
    return client_of(carol)


@pytest.fixture(autouse=True)
def _customers() -> None:
    for name in ("Ahlgren", "Brandt", "Celik"):
        make_customer(family_name=name, email=f"{name}@x.example")


def start_export(client, **parameters) -> Download:
    response = client.get(EXPORT, {"format": "csv"} | parameters, secure=True)
    download = Download.objects.latest("created_at")
    assert response.headers["Location"] == reverse("admin:customers_download_change", args=[download.pk])
    return download


def show(client, download, status=200):
    response = client.get(reverse("admin:customers_download_change", args=[download.pk]), secure=True)
    assert response.status_code == status
    return response.text


def fetch(client, download) -> bytes:
    response = client.get(reverse("admin:customers_download_file", args=[download.pk]), secure=True)
    headers, body = fetch_file(response)
    assert headers["Content-Disposition"] == f'attachment; filename="{download.name}"'
    return body


def read_names(content: bytes) -> list[str]:
    return sorted(re.findall("Ahlgren|Brandt|Celik|Elsewhere", content.decode()))


def test_export_of_few_rows_is_sent_at_once(client):
    response = client.get(EXPORT, {"format": "csv", "q": "celik"}, secure=True)

    assert (read_names(b"".join(response.streaming_content)), Download.objects.count()) == (["Celik"], 0)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "vcf"])
def test_export_of_many_rows_is_what_would_have_been_sent(kind, client, monkeypatch):
    download = start_export(client, format=kind)
    assert "Waiting for a worker." in show(client, download)

    run_due_tasks("progress")

    download.refresh_from_db()
    assert (download.state, download.done, download.total) == ("done", 3, 3)
    assert re.fullmatch(rf"customers-\d{{4}}-\d\d-\d\d\.{kind}", download.name)
    url = reverse("admin:customers_download_file", args=[download.pk])
    assert f'href="{url}"' in show(client, download)
    monkeypatch.setattr(export, "MAX_DIRECT", 3)
    direct = client.get(EXPORT, {"format": kind}, secure=True)
    assert len(b"".join(direct.streaming_content)) == len(fetch(client, download))
    assert [entry.change_message.rpartition(": ")[2] for entry in LogEntry.objects.all()] == ["3 rows, complete"] * 2


def test_file_is_out_of_reach_for_who_has_lost_the_role(client, carol):
    download = start_export(client)
    run_due_tasks("progress")
    fetch(client, download)

    carol.groups.clear()

    show(client, download, status=404)
    url = reverse("admin:customers_download_file", args=[download.pk])
    assert client.get(url, secure=True).status_code == 404


def test_export_is_filtered_and_ordered_as_the_list(client):
    make_customer(family_name="Elsewhere", email="elsewhere@x.example", stage="prospect")
    download = start_export(client, stage="lead", o="-2")

    run_due_tasks("progress")

    names = re.findall("(Ahlgren|Brandt|Celik|Elsewhere),", fetch(client, download).decode())
    assert names == ["Celik", "Brandt", "Ahlgren"]


def test_export_of_what_is_new_begins_where_the_last_one_ended_when_it_was_asked_for(client):
    start_export(client)
    run_due_tasks("progress")
    for number in range(3):
        make_customer(family_name="Elsewhere", email=f"elsewhere{number}@x.example")

    download = start_export(client, since="last-export")
    payload = Task.objects.get(state="queued").payload
    run_due_tasks("progress")
    Download.objects.filter(pk=download.pk).update(state="running", file="")  # its worker was killed at the end
    Task.objects.filter(kind="customers.export").update(state="running", due_at=Now() - LEASE, payload=payload)
    run_due_tasks("progress")

    assert read_names(fetch(client, download)) == ["Elsewhere"] * 3


def test_export_has_the_rows_that_its_owner_may_see_when_it_is_made(member_of, client_of, carol):
    client = client_of(carol)
    download = start_export(client)
    mine = make_visit(exhibition=make_exhibition(), customer=Customer.objects.get(family_name="Brandt"))
    carol.exhibitions.set([mine.exhibition])
    carol.user_permissions.set([*carol.groups.get().permissions.exclude(codename="view_every_customer")])
    carol.groups.clear()

    run_due_tasks("progress")

    assert read_names(fetch(client, download)) == ["Brandt"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda person: person.groups.clear(), "You may not export this list."),
        (lambda person: setattr(person, "is_active", False), "This account is not active any more."),
    ],
)
def test_export_of_somebody_who_may_not_any_more_fails(change, reason, carol, client):
    download = start_export(client)
    change(carol)
    carol.save()

    run_due_tasks("progress")

    download.refresh_from_db()
    assert (download.state, download.error, download.file.name) == ("failed", reason, "")
    assert list_files() == []


def test_export_waits_for_a_place(client, carol):
    download = start_export(client)
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [limits.USER, carol.pk])
        run_due_tasks("progress")
        download.refresh_from_db()
        assert (download.is_active, Task.objects.get().state, list_files()) == (True, "queued", [])
    other.close()
    Task.objects.update(due_at=Now())

    run_due_tasks("progress")

    assert len(read_names(fetch(client, download))) == 3


def test_job_is_for_its_owner_alone(client, member_of, client_of):
    download = start_export(client)
    run_due_tasks("progress")
    stranger = client_of(member_of("Administrator", name="Mallory"))

    show(stranger, download, status=404)
    for name in ("progress", "file"):
        url = reverse(f"admin:customers_download_{name}", args=[download.pk])
        assert stranger.get(url, secure=True).status_code == 404
    url = reverse("admin:customers_download_cancel", args=[download.pk])
    assert stranger.post(url, secure=True).status_code == 404
    assert download.name not in stranger.get(reverse("admin:customers_download_changelist"), secure=True).text
    assert download.name in client.get(reverse("admin:customers_download_changelist"), secure=True).text


def test_export_leaves_cached_responses_valid(client):
    version = current_version()

    start_export(client)
    run_due_tasks("progress")

    assert current_version() == version


def test_incomplete_file_cannot_be_downloaded(client):
    download = start_export(client)

    url = reverse("admin:customers_download_file", args=[download.pk])

    assert client.get(url, secure=True).status_code == 404


def test_cancelled_export_leaves_nothing(client, monkeypatch):
    download = start_export(client)
    url = reverse("admin:customers_download_cancel", args=[download.pk])
    made = []

    def cancel_meanwhile(job, file, progress):
        file.write(b"half")
        made.extend(list_files())
        client.post(url, secure=True)
        with pytest.raises(JobCancelledError):  # when it reports next
            job.update(done=1)
        raise JobCancelledError

    make_file(Task(attempts=1), str(download.pk), "en", cancel_meanwhile)
    assert len(made) == 1
    run_due_tasks("progress")

    download.refresh_from_db()
    assert (download.state, list_files()) == ("cancelled", [])
    assert "Cancelled. There is no file." in show(client, download)


def test_leftovers_of_a_killed_attempt_are_deleted(client):
    download = start_export(client)
    write_file(download.build_file_name(1), b"half")
    Task.objects.update(state="running", attempts=1, due_at=Now() - LEASE)

    run_due_tasks("progress")

    download.refresh_from_db()
    assert list_files() == [str(download.file.name)]
    assert len(read_names(fetch(client, download))) == 3


def test_person_waits_for_few_files_at_a_time(client, carol):
    for _ in range(3):
        start_export(client)

    response = client.get(EXPORT, {"format": "csv"}, secure=True, follow=True)

    assert "Several files are being made for you." in response.text
    assert Download.objects.count() == 3
    run_due_tasks("progress")
    start_export(client)


def test_old_downloads_are_deleted_with_their_files(client):
    start_export(client)
    run_due_tasks("progress")
    delete_old_downloads.enqueue()
    run_due_tasks("progress")
    assert len(list_files()) == 1

    Download.objects.update(created_at=Now() - timedelta(hours=25))
    delete_old_downloads.enqueue()
    run_due_tasks("progress")

    assert (Download.objects.count(), list_files()) == (0, [])


def test_downloads_go_with_their_owner(client, carol):
    start_export(client)
    run_due_tasks("progress")

    carol.delete()

    assert (Download.objects.count(), list_files()) == (0, [])

"""Exports of visits and follow-ups, and of what is new since one's last export."""

import csv
from datetime import UTC, datetime
from io import BytesIO, StringIO
from typing import Any

import openpyxl
import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from customers.models import Customer, Exhibition, Tag, Visit
from customers.services.customers import tag_customers
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db
SINCE = {"since": "last-export"}


def url(model: str, page: str = "export") -> str:
    return reverse(f"admin:customers_{model}_{page}")


def export(client: Any, model: str, kind: str = "csv", **parameters: object) -> bytes:
    response = client.get(url(model), {"format": kind} | parameters, secure=True)
    assert response.status_code == 200
    return b"".join(response.streaming_content)


def read(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.fixture
def lead(alice, bob) -> Visit:
    customer = make_customer(company=make_company(), phone="+47 22 12 34 56", owner=alice)
    las_vegas = make_exhibition(name="CES", time_zone="America/Los_Angeles")
    return make_visit(
        customer=customer,
        exhibition=las_vegas,
        visited_at=datetime(2026, 3, 11, 3, 30, tzinfo=UTC),
        stand="7.1 C042",
        interests=["LED", "=1+1"],
        note="Wants a quote.",
        captured_by=bob,
    )


VISIT = {
    "given name": "Ingrid",
    "family name": "Haugen",
    "company": "Nordlys Lighting",
    "e-mail": "ingrid@nordlys.example",
    "phone": "'+47 22 12 34 56",
    "exhibition": "CES 2026",
    "stand": "7.1 C042",
    "grade": "A",
    "interests": "LED, =1+1",
    "note": "Wants a quote.",
    "captured by": "Bob",
    "owner": "Alice",
    "follow-up": "",
    "time zone": "America/Los_Angeles",
    "visited at": "2026-03-10 20:30:00",
}


def test_visit_is_exported_with_its_customer_in_the_time_of_its_exhibition(lead, alice, client_of):
    assert read(export(client_of(alice), "visit")) == [{"public id": str(lead.public_id)} | VISIT]


@pytest.mark.parametrize(
    ("completed_at", "state"),
    [(None, "open"), (datetime(2026, 3, 11, 4, tzinfo=UTC), "contacted"), (datetime(2026, 3, 11, 3, tzinfo=UTC), "")],
)
def test_visit_is_exported_with_the_state_of_its_follow_up(completed_at, state, lead, alice, client_of):
    make_follow_up(customer=lead.customer, completed_at=completed_at)

    assert [row["follow-up"] for row in read(export(client_of(alice), "visit"))] == [state]


def test_follow_up_is_exported_with_its_customer_and_visit(lead, alice, bob, client_of):
    later = datetime(2026, 3, 13, 8, tzinfo=UTC)
    completed = make_follow_up(
        visit=lead, assignee=bob, note="Call.", completed_at=datetime(2026, 3, 12, 9, tzinfo=UTC), outcome="quote"
    )
    bare = make_follow_up(customer=make_customer(email="b@x.example", family_name="Berg"), due_at=later, priority=1)

    rows = read(export(client_of(alice), "followup", state="all"))

    assert rows == [
        {
            "public id": str(completed.public_id),
            **{name: VISIT[name] for name in ("given name", "family name", "company", "e-mail", "phone")},
            **{name: VISIT[name] for name in ("exhibition", "grade", "interests")},
            "channel": "phone",
            "priority": "normal",
            "note": "Call.",
            "assignee": "Bob",
            "state": "completed",
            "outcome": "quote",
            "completed (UTC)": "2026-03-12 09:00:00",
            "due (UTC)": "2026-03-12 08:00:00",
        },
        dict.fromkeys(rows[0], "")
        | {"public id": str(bare.public_id), "given name": "Ingrid", "family name": "Berg", "e-mail": "b@x.example"}
        | {"channel": "phone", "priority": "high", "state": "open", "due (UTC)": "2026-03-13 08:00:00"},
    ]


def test_visits_in_a_zone_that_the_database_lacks_are_exported_in_utc(lead, alice, client_of):
    Exhibition.objects.update(time_zone="localtime")

    (row,) = read(export(client_of(alice), "visit"))

    assert (row["visited at"], row["time zone"]) == ("2026-03-11 03:30:00", "UTC")


def test_workbook_has_headings_texts_and_a_time(lead, alice, client_of):
    (sheet,) = openpyxl.load_workbook(BytesIO(export(client_of(alice), "visit", "xlsx"))).worksheets

    headings, values = sheet.values
    row = dict(zip(headings, values, strict=True))
    assert list(headings) == ["public id", *VISIT]
    assert (row["visited at"], row["note"], row["follow-up"]) == (
        datetime(2026, 3, 10, 20, 30),
        "Wants a quote.",
        None,
    )


def test_export_has_what_the_list_shows(lead, alice, client_of):
    make_visit(customer=make_customer(email="b@x.example"), exhibition=lead.exhibition, grade="B")
    make_follow_up(customer=lead.customer, note="open")
    make_follow_up(customer=lead.customer, note="done", completed_at=timezone.now())
    client = client_of(alice)

    assert [row["grade"] for row in read(export(client, "visit", grade="B", contacted="no"))] == ["B"]
    assert [row["note"] for row in read(export(client, "followup"))] == ["open"]
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        "Export as CSV (contacted=no&grade=B): 1 rows, complete",
        "Export as CSV (everything): 1 rows, complete",
    ]


@pytest.mark.parametrize("model", ["visit", "followup"])
@pytest.mark.parametrize(
    ("role", "status"), [("Administrator", 200), ("Manager", 200), ("Stand staff", 403), ("Read-only", 403)]
)
def test_export_is_for_roles_that_may(role, status, model, member_of, client_of):
    client = client_of(member_of(role))

    response = client.get(url(model), {"format": "csv"}, secure=True)
    offered = url(model) in client.get(url(model, "changelist"), secure=True).text

    assert (response.status_code, offered) == (status, status == 200)
    b"".join(response)


@pytest.mark.parametrize("query", [{"format": "vcf"}, {"format": "csv", "since": "2026"}, {"format": "csv", "no": "1"}])
def test_visits_are_not_exported_by_a_wrong_query(query, alice, client_of):
    response = client_of(alice).get(url("visit"), query, secure=True)

    assert (response.status_code, LogEntry.objects.count()) == (400, 0)


@pytest.mark.parametrize("model", ["visit", "followup"])
def test_export_takes_the_same_queries_for_1_and_3_rows(model, alice, client_of):
    client, counts = client_of(alice), []
    export(client, model)  # fills the cache of content types
    for number in (1, 2, 3):
        customer = make_customer(email=f"{number}@x.example", company=make_company(domain=f"{number}.example"))
        make_follow_up(visit=make_visit(customer=customer, exhibition=make_exhibition(edition=str(number))))
        with CaptureQueriesContext(connection) as queries:
            export(client, model)
        counts.append(len(queries))

    assert counts == [counts[0]] * 3


# Since my last export.


def names(content: bytes) -> list[str]:
    return sorted(row["given name"] for row in read(content))


@pytest.fixture
def trio() -> list[Customer]:
    return [make_customer(given_name=name, email=f"{name}@x.example") for name in ("Ada", "Ben", "Cleo")]


def test_next_export_has_what_was_added_or_changed_since(trio, alice, client_of):
    client = client_of(alice)

    exports = [names(export(client, "customer", **SINCE))]
    make_customer(given_name="Dan", email="")
    tag_customers(Customer.objects.filter(pk=trio[1].pk), Tag.objects.create(name="VIP"))
    exports += [names(export(client, "customer", **SINCE)) for _ in range(2)]

    assert exports == [["Ada", "Ben", "Cleo"], ["Ben", "Dan"], []]
    newest = LogEntry.objects.order_by("-pk")[0].change_message
    assert newest.startswith("Export as CSV (everything) since 20")
    assert newest.endswith(" UTC: 0 rows, complete")


def test_next_export_of_visits_has_what_was_added_or_changed_since(lead, alice, client_of):
    client = client_of(alice)
    export(client, "visit")
    make_visit(customer=make_customer(given_name="Ben", email=""), exhibition=lead.exhibition)

    assert names(export(client, "visit", **SINCE)) == ["Ben"]


def test_other_exports_do_not_count_as_ones_last(trio, alice, bob, client_of):
    """Those of another person, with another filter, of another list, or that broke off."""
    client = client_of(alice)
    export(client_of(bob), "customer")
    export(client, "customer", stage="customer")
    export(client, "visit")
    export(client, "customer")
    broken = LogEntry.objects.order_by("-pk")[0]
    broken.change_message = broken.change_message.replace("complete", "aborted")
    broken.save()

    assert names(export(client, "customer", **SINCE)) == ["Ada", "Ben", "Cleo"]


def test_order_of_the_list_makes_no_other_list(trio, alice, client_of):
    client = client_of(alice)
    export(client, "customer", stage="lead", q="x.example", o="1")

    assert names(export(client, "customer", q="x.example", stage="lead", **SINCE)) == []


def test_list_offers_the_new_rows_in_the_format_of_the_last_export(alice, client_of):
    client = client_of(alice)

    def read_link(query: str) -> dict[str, Any]:
        context: Any = client.get(f"{url('customer', 'changelist')}?{query}", secure=True).context
        return context.get("newer_export") or {}

    before = read_link("stage=lead")
    export(client, "customer", "vcf", stage="lead")
    after = read_link("stage=lead&p=last")

    assert (before, read_link(""), after["label"]) == ({}, {}, "vCard")
    assert after["url"] == f"{url('customer')}?stage=lead&format=vcf&since=last-export"
    assert after["moment"] == LogEntry.objects.get().action_time


@pytest.mark.django_db(transaction=True)
def test_row_of_a_transaction_that_ends_after_an_export_is_in_the_next(alice, client_of):
    client, late = client_of(alice), connection.copy()
    late.set_autocommit(False)
    try:
        with late.cursor() as cursor:
            cursor.execute("INSERT INTO customers_tag (name) VALUES ('Writes')")
            cursor.execute(
                "INSERT INTO customers_customer (given_name, family_name, email, phone, phone_e164, job_title, country,"
                " stage, source, notes, photo) VALUES ('Late', '', '', '', '', '', '', 'lead', 'import', '', '')"
            )
        first = names(export(client, "customer"))
        late.commit()
    finally:
        late.close()

    assert (first, names(export(client, "customer", **SINCE))) == ([], ["Late"])

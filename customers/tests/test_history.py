"""Each way to write leaves one entry: who, by what, before, after."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.models import ApiToken, User
from core_apps.history.cause import caused_by
from core_apps.history.models import Change, RowChange
from customers.importing import CUSTOMERS, Options, import_file
from customers.models import Customer, Tag
from customers.services.customers import assign_customers
from customers.tests.api import Caller, caller_of
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db


def changes_of(row) -> list[tuple[Any, ...]]:
    """Who, by what, what, before and after: of each change but the first, which a factory made."""
    found = list(RowChange.objects.of(row))[:-1]
    return [(one.change.user, one.change.source, one.change.detail, one.action, one.before, one.after) for one in found]


@pytest.fixture
def customer(db) -> Customer:
    return make_customer(phone="+47 22 11 22 33", country="NO")


@pytest.fixture
def address(customer) -> str:
    return f"/api/v1/customers/{customer.public_id}/"


def run_action(client, action: str, **form: str) -> None:
    selected = {"action": action, "_selected_action": ["0"], "select_across": "1"}
    client.post(reverse("admin:customers_customer_changelist"), selected | form, secure=True)


def test_form_of_the_admin_is_recorded(customer, alice, client_of):
    form = {"given_name": "Inga", "family_name": "Haugen", "email": customer.email, "phone": customer.phone}
    more = {"country": "NO", "stage": "lead", "source": "stand"}
    page = reverse("admin:customers_customer_change", args=[customer.pk])

    client_of(alice).post(page, form | more, secure=True)

    assert changes_of(customer) == [(alice, "admin", "", "U", {"given_name": "Ingrid"}, {"given_name": "Inga"})]


def test_action_of_the_admin_is_recorded_for_each_row(bob, client_of):
    Customer.objects.bulk_create(Customer(family_name=f"Family {number}") for number in range(1000))
    run_action(client_of(bob), "assign_to_me")

    changed = RowChange.objects.filter(action="U").select_related("change")

    assert {one.row for one in changed} == set(Customer.objects.values_list("pk", flat=True))
    assert [(one.before, one.after) for one in changed] == [({"owner_id": None}, {"owner_id": bob.pk})] * 1000
    assert {(one.change.user_id, one.change.source) for one in changed} == {(bob.pk, "admin")}


def test_tag_is_recorded_on_the_page_of_its_customer(customer, bob, client_of):
    tag = Tag.objects.create(name="VIP")
    for action in ("add_tag", "remove_tag"):
        run_action(client_of(bob), action, tag=str(tag.pk))

    assert [(who, what, (before or after)["tag_id"]) for who, _, _, what, before, after in changes_of(customer)] == [
        (bob, "D", tag.pk),
        (bob, "I", tag.pk),
    ]


def test_token_of_the_api_is_recorded_with_its_name(customer, address, alice):
    _token, plain = ApiToken.objects.create_token(alice, timedelta(days=1), name="Badge scanner", scopes=["write"])

    Caller(headers={"Authorization": f"Token {plain}"}).patch(address, {"job_title": "Buyer"})

    assert changes_of(customer) == [(alice, "api", "Badge scanner", "U", {"job_title": ""}, {"job_title": "Buyer"})]


def test_session_in_the_api_is_recorded_with_its_user(customer, address, alice):
    caller_of(alice).patch(address, {"job_title": "Buyer"})

    assert changes_of(customer) == [(alice, "api", "", "U", {"job_title": ""}, {"job_title": "Buyer"})]


def test_captured_visit_and_its_customer_are_recorded(exhibition, alice):
    entry = {
        "client_uuid": "6f9a3c0e-1d55-4a0b-9d2e-6b4de22f4f10",
        "exhibition": str(exhibition.public_id),
        "visited_at": "2026-03-11T10:30:00+01:00",
        "new_customer": {"family_name": "Haugen"},
    }

    caller_of(alice).post("/api/v1/visits/capture/", {"entries": [entry]})

    customer = Customer.objects.get()
    found = RowChange.objects.filter(subject=customer.pk).select_related("change").order_by("pk")
    assert [(one.table, one.action, one.change.user_id, one.change.source) for one in found] == [
        ("customers_customer", "I", alice.pk, "api"),
        ("customers_visit", "I", alice.pk, "api"),
    ]


def test_import_is_recorded_with_its_file(customer, tmp_path):
    file = tmp_path / "fair-2019.csv"
    file.write_text("email,phone,country\ningrid@nordlys.example,+47 99 88 77 66,NO\n")

    import_file(file, CUSTOMERS, Options())

    before = {"phone": "+47 22 11 22 33", "phone_e164": "+4722112233"}
    after = {"phone": "+47 99 88 77 66", "phone_e164": "+4799887766"}
    assert changes_of(customer) == [(None, "import", "fair-2019.csv", "U", before, after)]


def test_statement_outside_of_a_transaction_is_recorded(transactional_db):
    customer = make_customer()
    assert not connection.in_atomic_block
    owner = User.objects.create_user("owner@example.com")

    assign_customers(Customer.objects.all(), owner)

    assert changes_of(customer) == [(None, "sql", "exhibition", "U", {"owner_id": None}, {"owner_id": owner.pk})]


def test_command_is_recorded(transactional_db):
    text = "from customers.models import Customer; Customer.objects.create(family_name='Shell')"
    url = "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**settings.DATABASES["default"])
    manage = [sys.executable, "manage.py", "shell", "--command", text]

    subprocess.run(manage, env={**os.environ, "DATABASE_URL": url}, cwd=settings.BASE_DIR, check=True)

    entry = RowChange.objects.of(Customer.objects.get()).get()
    assert (entry.change.user, str(entry.change), (entry.after or {})["family_name"]) == (
        None,
        "Command (shell)",
        "Shell",
    )


# Who sees it.


def read_history(client, customer: Customer) -> str:
    page = reverse("admin:customers_customer_history", args=[customer.pk])
    return str(client.get(page, secure=True).text)


def test_page_shows_who_by_what_before_and_after(customer, address, alice, client_of):
    caller_of(alice).patch(address, {"stage": "prospect", "notes": "Prefers tea."})

    text = read_history(client_of(alice), customer)

    assert "Alice, API" in text
    assert "<li>Stage: <del>Lead</del> <ins>Prospect</ins></li>" in text
    assert "Prefers tea." in text


def test_page_names_the_zone_of_its_times(customer, alice, client_of):
    make_follow_up(customer=customer, due_at=datetime(2026, 11, 26, 23, 30, tzinfo=UTC))
    User.objects.filter(pk=alice.pk).update(time_zone="Europe/Berlin")

    assert "Nov. 27, 2026, 12:30 AM (Europe/Berlin)" in read_history(client_of(alice), customer)


def test_page_of_a_customer_of_another_exhibition_is_not_shown(customer, exhibition, member_of, client_of):
    mine = make_visit(exhibition=exhibition, note="Wants a quote.").customer
    client = client_of(member_of("Stand staff", exhibition))

    assert "Ingrid" in read_history(client, mine)
    page = reverse("admin:customers_customer_history", args=[customer.pk])
    assert client.get(page, secure=True).status_code == 302  # to the index, with a message


def test_deleted_visit_is_shown_to_who_sees_every_exhibition(customer, exhibition, alice, member_of, client_of):
    stand = member_of("Stand staff", exhibition)
    make_visit(customer=customer, exhibition=exhibition)
    visit = make_visit(customer=customer, exhibition=make_exhibition(edition="2027"), note="Of another stand.")
    visit.delete()

    found = {user.name: "Of another stand." in read_history(client_of(user), customer) for user in (alice, stand)}

    assert found == {"Alice": True, stand.name: False}


def test_visit_that_moved_to_another_customer_keeps_its_history(customer, exhibition, alice, client_of):
    visit = make_visit(exhibition=exhibition, note="Wants a quote.")
    visit.customer, visit.note = customer, ""
    visit.save()

    text = client_of(alice).get(reverse("admin:customers_visit_history", args=[visit.pk]), secure=True).text

    assert "<li>Note: <del>Wants a quote.</del> </li>" in text
    assert text.count("<ins>Wants a quote.</ins>") == 1  # when it was added


def test_related_row_that_the_user_may_not_see_has_no_name(exhibition, alice, member_of, client_of):
    stand = member_of("Stand staff")
    other = make_visit(exhibition=exhibition)
    follow_up = make_follow_up(customer=other.customer, visit=other, assignee=stand)
    page = reverse("admin:customers_followup_history", args=[follow_up.pk])

    found = {user.name: "Harbour Fair" in client_of(user).get(page, secure=True).text for user in (alice, stand)}

    assert found == {"Alice": True, stand.name: False}


def test_history_of_an_erased_person_has_no_values(customer, exhibition, alice, client_of):
    make_visit(customer=customer, exhibition=exhibition, note="Prefers tea.")
    customer.tags.add(Tag.objects.create(name="VIP"))
    key = customer.pk

    customer.delete()

    found = RowChange.objects.filter(subject=key)
    assert {(one.before, one.after) for one in found} == {(None, None)}
    assert sorted(f"{one.table} {one.action}" for one in found) == [
        "customers_customer D",
        "customers_customer I",
        "customers_customer_tags D",
        "customers_customer_tags I",
        "customers_visit D",
        "customers_visit I",
    ]


def test_visit_that_came_to_an_erased_person_has_no_values(customer, exhibition):
    visit = make_visit(exhibition=exhibition, note="Prefers tea.")
    visit.customer = customer
    visit.save()

    customer.delete()

    entries = RowChange.objects.filter(table="customers_visit", row=visit.pk)
    assert [(one.action, one.before, one.after) for one in entries.order_by("pk")] == [
        (action, None, None) for action in "IUD"
    ]


def test_company_with_the_number_of_an_erased_person_keeps_its_history(customer):
    company = make_company(pk=customer.pk)

    customer.delete()

    assert (RowChange.objects.of(company).get().after or {})["name"] == "Nordlys Lighting"


def test_every_model_of_the_admin_has_a_history():
    models = apps.get_app_config("customers").get_models(include_auto_created=True)
    tables = {model._meta.db_table for model in models}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, count(*) FROM pg_trigger WHERE tgname LIKE 'history_%' GROUP BY 1"
        )
        tracked = dict(cursor.fetchall())

    # A capture only says which entry of a phone became which visit, an import keeps its own report, a feed is a secret,
    # and a download is gone after a day.
    others = {f"customers_{name}" for name in ("capture", "fileimport", "calendarfeed", "download")}
    assert tracked == dict.fromkeys(tables - others | {"messaging_consent"}, 3)


def test_expired_changes_are_deleted_by_the_next_one(customer, address, alice, bob):
    Change.objects.update(at=timezone.now() - timedelta(days=3 * 366))
    caller_of(alice).patch(address, {"job_title": "Buyer"})
    caller_of(bob).patch(address, {"job_title": "Head buyer"})

    assert [entry.after for entry in RowChange.objects.of(customer)] == [
        {"job_title": "Head buyer"},
        {"job_title": "Buyer"},
    ]
    assert [change.user for change in Change.objects.order_by("pk")] == [alice, bob]


def test_read_sends_no_cause(customer):
    with caused_by("command", "report"), CaptureQueriesContext(connection) as queries:
        Customer.objects.get()
        Customer.objects.update(job_title="50 % of a buyer")

    assert ["history.cause" in query["sql"] for query in queries] == [False, True]
    assert changes_of(customer)[0][1:] == (
        "command",
        "report",
        "U",
        {"job_title": ""},
        {"job_title": "50 % of a buyer"},
    )

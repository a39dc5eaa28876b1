import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from customers.models import Capture, Company, Customer, Visit
from customers.tests.factories import make_company, make_customer, make_exhibition, make_visit

pytestmark = pytest.mark.django_db


@pytest.fixture
def exhibition():
    return make_exhibition()


@pytest.fixture
def dana(member_of, exhibition):
    """Stand staff of the exhibition."""
    return member_of("Stand staff", exhibition, name="Dana")


def entry_of(person, exhibition, **changes: str) -> dict[str, str]:
    return {
        "client_uuid": "0d3fa1ac-6a3b-4c6f-9ba5-0c9ed9a3a111",
        "person": str(person.pk),
        "exhibition": str(exhibition.pk),
        "visited_at": "2026-03-11T09:30:00.000Z",
        "family_name": "Haugen",
        **changes,
    }


def send(client: Client, entry: object):
    body = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    return client.post(reverse("admin:capture_visits"), body, content_type="application/json", secure=True)


def counts() -> list[int]:
    return [model.objects.count() for model in (Customer, Company, Visit, Capture)]


def test_new_customer_is_recorded_with_owner_company_and_visit(dana, exhibition, client_of):
    entry = entry_of(
        dana,
        exhibition,
        given_name="Ingrid",
        company="Nordlys Lighting",
        email="Ingrid@Nordlys.example",
        phone="+47 22 12 34 56",
        grade="A",
        interests="pumps, , valves",
        note="Wants a quote.",
    )

    response = send(client_of(dana), entry)

    assert (response.status_code, response.json()) == (201, {})
    visit = Visit.objects.get()
    assert (visit.exhibition, visit.captured_by, visit.grade) == (exhibition, dana, "A")
    assert (visit.interests, visit.note) == (["pumps", "valves"], "Wants a quote.")
    assert visit.visited_at == datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
    customer = visit.customer
    assert (str(customer), customer.email, customer.phone_e164) == (
        "Ingrid Haugen",
        "ingrid@nordlys.example",
        "+4722123456",
    )
    assert (customer.owner, customer.source, str(customer.company)) == (dana, "stand", "Nordlys Lighting")
    assert (visit.capture.captured_by, str(visit.capture.client_uuid)) == (dana, entry["client_uuid"])


def test_known_customer_gets_a_visit_and_nothing_else(dana, exhibition, client_of):
    visit = make_visit(exhibition=exhibition)
    later = {"visited_at": "2026-03-11T10:30:00Z", "family_name": "", "company": "Other"}
    entry = entry_of(dana, exhibition, customer=str(visit.customer.public_id), **later)

    assert send(client_of(dana), entry).status_code == 201
    assert counts() == [1, 0, 2, 1]
    assert Visit.objects.filter(customer=visit.customer, captured_by=dana).count() == 1
    assert Customer.objects.get().owner is None


def test_visit_of_the_same_moment_is_refused_with_the_reason(dana, exhibition, client_of):
    visit = make_visit(exhibition=exhibition)
    entry = entry_of(dana, exhibition, customer=str(visit.customer.public_id), family_name="")

    assert send(client_of(dana), entry).json()["errors"] == {"__all__": ["This visit is recorded already."]}
    assert counts() == [1, 0, 1, 0]


def test_entry_sent_twice_is_recorded_once(dana, exhibition, client_of):
    client, entry = client_of(dana), entry_of(dana, exhibition)

    assert [send(client, entry).status_code for _ in range(3)] == [201, 200, 200]
    assert counts() == [1, 0, 1, 1]


def test_entry_of_a_visit_that_was_deleted_does_not_come_back(dana, exhibition, client_of):
    client, entry = client_of(dana), entry_of(dana, exhibition)
    send(client, entry)
    Visit.objects.all().delete()

    assert send(client, entry).status_code == 200
    assert counts() == [1, 0, 0, 1]


def test_entry_that_had_arrived_is_confirmed_to_who_left_the_stand_since(dana, exhibition, client_of):
    client, entry = client_of(dana), entry_of(dana, exhibition)
    send(client, entry)
    dana.exhibitions.clear()

    assert send(client, entry).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_entry_sent_by_50_threads_at_a_time_is_recorded_once(alice, exhibition, client_of):
    threads = 50
    client = client_of(alice)
    session, entry = client.cookies, entry_of(alice, exhibition, company="Nordlys")
    together = Barrier(threads)

    def send_one(_number: int) -> int:
        own = Client()
        own.cookies = session
        together.wait()
        try:
            return int(send(own, entry).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        statuses = sorted(pool.map(send_one, range(threads)))

    assert statuses == [200] * (threads - 1) + [201]
    assert counts() == [1, 1, 1, 1]


@pytest.mark.parametrize("written", ["Nordlys Lighting", "NORDLYS LIGHTING"])
def test_company_is_found_by_its_name_whatever_the_case(written, dana, exhibition, client_of):
    company = make_company()

    send(client_of(dana), entry_of(dana, exhibition, company=written))

    assert Customer.objects.get().company == company


def test_company_whose_name_fits_several_is_the_one_of_which_nothing_else_is_known(dana, exhibition, client_of):
    make_company()
    make_company(domain="nordlys.other")
    client = client_of(dana)

    for _ in range(2):
        send(client, entry_of(dana, exhibition, client_uuid=str(uuid4()), company="Nordlys Lighting"))

    plain = Company.objects.get(domain="", country="")
    assert list(plain.customers.values_list("family_name", flat=True)) == ["Haugen", "Haugen"]


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"client_uuid": "1"}, {"client_uuid": ["Enter a valid UUID."]}),
        ({"visited_at": "yesterday"}, {"visited_at": ["Enter a valid date/time."]}),
        ({"family_name": ""}, {"family_name": ["Give a name, an e-mail address or a phone number."]}),
        ({"email": "nobody"}, {"email": ["Enter a valid email address."]}),
        ({"grade": "E"}, {"grade": ["Select a valid choice. E is not one of the available choices."]}),
        ({"family_name": "a" * 101}, {"family_name": ["Ensure this value has at most 100 characters (it has 101)."]}),
        ({"note": "a" * 10_001}, {"note": ["Ensure this value has at most 10000 characters (it has 10001)."]}),
        ({"family_name": "Hau\0gen"}, {"family_name": ["Null characters are not allowed."]}),
        (
            {"exhibition": "999999999999999999999"},
            {"exhibition": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
        (
            {"customer": "0d3fa1ac-6a3b-4c6f-9ba5-0c9ed9a3a111"},
            {"customer": ["Select a valid choice. That choice is not one of the available choices."]},
        ),
        ({"customer": "me"}, {"customer": ["“me” is not a valid UUID."]}),
    ],
)
def test_bad_value_is_refused_by_its_field_and_leaves_nothing(changes, errors, dana, exhibition, client_of):
    response = send(client_of(dana), entry_of(dana, exhibition) | changes)

    assert (response.status_code, response.json()["errors"]) == (400, errors)
    assert counts() == [0, 0, 0, 0]


def test_interest_that_is_too_long_leaves_no_customer_behind(dana, exhibition, client_of):
    response = send(client_of(dana), entry_of(dana, exhibition, company="Nordlys", interests="a" * 61))

    assert (response.status_code, list(response.json()["errors"])) == (400, ["interests"])
    assert counts() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("visited_at", "status"),
    [
        (lambda: timezone.now() + timedelta(hours=23), 201),
        (lambda: timezone.now() + timedelta(hours=25), 400),
        (lambda: timezone.now() - timedelta(days=400), 201),
        (lambda: datetime(1969, 12, 31, tzinfo=UTC), 400),
    ],
)
def test_clock_of_the_phone_may_be_a_day_ahead_and_any_time_back(visited_at, status, dana, exhibition, client_of):
    moment = visited_at()
    response = send(client_of(dana), entry_of(dana, exhibition, visited_at=moment.isoformat()))

    assert response.status_code == status
    assert [visit.visited_at for visit in Visit.objects.all()] == ([moment] if status == 201 else [])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"person": 1}', b'{"note": ["a"]}', b"\xff", b'{"note": "\\ud800"}', b"1" * 100_001],
)
def test_body_that_is_no_entry_is_refused(body, dana, exhibition, client_of):
    response = send(client_of(dana), body)

    assert (response.status_code, response.json()["reason"]) == (400, "This is no entry.")


def test_entry_of_another_person_is_not_recorded_as_ones_own(dana, alice, exhibition, client_of):
    response = send(client_of(dana), entry_of(alice, exhibition))

    assert (response.status_code, response.json()["reason"]) == (409, "You are logged in as another person.")
    assert counts() == [0, 0, 0, 0]


def test_receipt_of_another_person_is_no_confirmation(dana, alice, exhibition, client_of):
    send(client_of(alice), entry_of(alice, exhibition))

    response = send(client_of(dana), entry_of(dana, exhibition))

    assert (response.status_code, response.json()["errors"]) == (
        400,
        {"client_uuid": ["Another person has sent this entry."]},
    )


def test_exhibition_of_others_and_customer_of_others_are_refused(member_of, exhibition, client_of):
    elsewhere = make_exhibition(edition="2025")
    erin = member_of("Stand staff", elsewhere)
    visit = make_visit(exhibition=exhibition)

    at_ours = send(client_of(erin), entry_of(erin, exhibition))
    with_ours = send(client_of(erin), entry_of(erin, elsewhere, customer=str(visit.customer.public_id)))

    assert [list(response.json()["errors"]) for response in (at_ours, with_ours)] == [["exhibition"], ["customer"]]
    assert Visit.objects.count() == 1


@pytest.mark.parametrize("name", ["capture_visits", "capture_customers"])
def test_who_is_logged_out_is_told_so_and_not_sent_elsewhere(name, charlie, exhibition, client_of):
    for client in (Client(), client_of(charlie)):
        answer = client.get if name == "capture_customers" else client.post
        response = answer(reverse(f"admin:{name}"), secure=True)
        assert (response.status_code, response.json()["reason"]) == (401, "You are logged out.")


def test_role_that_only_reads_captures_nothing(member_of, exhibition, client_of):
    reader = member_of("Read-only", exhibition)
    client = client_of(reader)

    assert client.get(reverse("admin:capture"), secure=True).status_code == 403
    assert send(client, entry_of(reader, exhibition)).status_code == 403
    assert counts() == [0, 0, 0, 0]


def test_new_customer_needs_the_right_to_add_one(member_of, exhibition, client_of):
    visit = make_visit(exhibition=exhibition)
    frida = member_of("Stand staff", exhibition)
    role = frida.groups.get()
    role.permissions.remove(role.permissions.get(codename="add_customer"))
    client = client_of(frida)

    refused = send(client, entry_of(frida, exhibition))
    allowed = send(
        client,
        entry_of(
            frida, exhibition, customer=str(visit.customer.public_id), family_name="", visited_at="2026-03-11T10:30:00Z"
        ),
    )

    assert [refused.status_code, allowed.status_code] == [403, 201]


def test_new_company_needs_the_right_to_add_one(member_of, exhibition, client_of):
    company, gina = make_company(), member_of("Stand staff", exhibition)
    role = gina.groups.get()
    role.permissions.remove(role.permissions.get(codename="add_company"))
    client = client_of(gina)

    refused = send(client, entry_of(gina, exhibition, company="Unknown"))
    allowed = send(client, entry_of(gina, exhibition, company=company.name))

    assert (refused.status_code, list(refused.json()["errors"]), allowed.status_code) == (400, ["company"], 201)


def test_entry_without_the_token_against_forgery_is_refused(dana, exhibition):
    client = Client(enforce_csrf_checks=True)
    client.force_login(dana)

    assert send(client, entry_of(dana, exhibition)).status_code == 403
    assert counts() == [0, 0, 0, 0]


def test_search_finds_eight_of_those_whom_the_person_may_see(dana, exhibition, client_of):
    company = make_company()
    for number in range(10):
        make_visit(exhibition=exhibition, customer=make_customer(email=f"{number}@nordlys.example", company=company))
    make_customer(family_name="Haugen", given_name="Elsewhere", email="")

    hits = client_of(dana).get(reverse("admin:capture_customers"), {"q": "haugen nord"}, secure=True).json()

    newest = Customer.objects.filter(given_name="Ingrid")[0]
    assert len(hits["customers"]) == 8
    assert hits["customers"][0] == {
        "id": str(newest.public_id),
        "name": "Ingrid Haugen",
        "more": "Nordlys Lighting",
    }
    assert {hit["name"] for hit in hits["customers"]} == {"Ingrid Haugen"}


@pytest.mark.parametrize("text", ["", "%", "\0", "a" * 5000])
def test_search_for_nothing_finds_nobody(text, alice, client_of):
    make_customer()

    assert client_of(alice).get(reverse("admin:capture_customers"), {"q": text}, secure=True).json() == {
        "customers": []
    }


def test_form_offers_the_exhibitions_of_the_stand_and_starts_with_the_open_one(dana, exhibition, client_of):
    today = timezone.localdate()
    now_open = make_exhibition(edition="now", starts_on=today - timedelta(1), ends_on=today + timedelta(1))
    make_exhibition(edition="not ours")
    dana.exhibitions.add(now_open)

    response = client_of(dana).get(reverse("admin:capture"), secure=True)

    assert list(response.context["exhibitions"]) == [now_open, exhibition]
    assert response.context["open"] == now_open
    assert f'<option value="{now_open.pk}" selected>' in response.text

"""Bulk capture of visits over the API."""

from datetime import UTC, datetime
from threading import Barrier, Thread
from uuid import UUID

import pytest
from django.db import connections

from customers.models import Customer, Visit
from customers.tests.api import Caller, caller_of
from customers.tests.factories import make_customer, make_exhibition

URL = "/api/v1/visits/capture/"
FIRST, SECOND = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def exhibition(db):
    return make_exhibition()


def entry(at, client_uuid=FIRST, **changes):
    usual = {"client_uuid": client_uuid, "exhibition": str(at.public_id), "visited_at": "2026-03-11T09:30:00Z"}
    return usual | {"new_customer": {"given_name": "Nils", "company": "Fjord"}, "grade": "A"} | changes


def sent(caller, *entries):
    response = caller.post(URL, {"entries": entries})
    assert response.status_code == 200
    return response.json()["results"]


def reasons(outcome):
    return outcome["status"], [(error["field"], error["code"]) for error in outcome["errors"]]


def test_visits_of_new_and_known_customers_are_recorded(bob, exhibition):
    known = make_customer()
    of_known = entry(exhibition, SECOND, customer=str(known.public_id), interests=["LED"], note="Wants a quote")
    del of_known["new_customer"]

    results = sent(caller_of(bob), entry(exhibition), of_known)

    visits = list(Visit.objects.order_by("pk"))
    assert results == [
        {"client_uuid": FIRST, "visit": str(visits[0].public_id), "errors": [], "status": "recorded"},
        {"client_uuid": SECOND, "visit": str(visits[1].public_id), "errors": [], "status": "recorded"},
    ]
    assert [(str(visit.customer), visit.grade, visit.captured_by) for visit in visits] == [
        ("Nils", "A", bob),
        ("Ingrid Haugen", "A", bob),
    ]
    assert (str(visits[0].customer.company), visits[1].interests, visits[1].note) == ("Fjord", ["LED"], "Wants a quote")
    assert visits[0].visited_at == datetime(2026, 3, 11, 9, 30, tzinfo=UTC)


def test_entry_that_is_sent_twice_counts_once(bob, exhibition):
    caller = caller_of(bob)
    first = sent(caller, entry(exhibition))
    second = sent(caller, entry(exhibition), entry(exhibition))

    assert [outcome["status"] for outcome in first + second] == ["recorded", "known", "known"]
    assert {outcome["visit"] for outcome in first + second} == {str(Visit.objects.get().public_id)}
    assert Customer.objects.count() == 1


def test_entry_that_was_recorded_stays_known_when_its_exhibition_is_out_of_sight(member_of, exhibition):
    member = member_of("Stand staff", exhibition)
    sent(caller_of(member), entry(exhibition))
    member.exhibitions.clear()

    assert [outcome["status"] for outcome in sent(caller_of(member), entry(exhibition))] == ["known"]


def test_one_bad_entry_spoils_no_other(bob, exhibition):
    results = sent(caller_of(bob), entry(exhibition, grade="E"), entry(exhibition, SECOND))

    assert reasons(results[0]) == ("refused", [("grade", "invalid_choice")])
    assert results[0]["visit"] is None
    assert results[1]["status"] == "recorded"
    assert Visit.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"client_uuid": "x"}, ("client_uuid", "invalid")),
        ({"client_uuid": None}, ("client_uuid", "null")),
        ({"visited_at": "yesterday"}, ("visited_at", "invalid")),
        ({"visited_at": "2999-01-01T00:00:00Z"}, ("visited_at", "invalid")),
        ({"exhibition": SECOND}, ("exhibition", "does_not_exist")),
        ({"customer": SECOND}, ("customer", "does_not_exist")),
        ({"new_customer": {}}, ("family_name", "invalid")),
        ({"new_customer": {"email": "x"}}, ("new_customer.email", "invalid")),
        ({"new_customer": "Nils"}, ("new_customer", "invalid")),
        ({"interests": "LED"}, ("interests", "not_a_list")),
        ({"note": "A" * 10_001}, ("note", "max_length")),
    ],
)
def test_bad_entry_is_refused_with_its_field(bob, exhibition, changes, refused):
    (outcome,) = sent(caller_of(bob), entry(exhibition, **changes))

    assert reasons(outcome) == ("refused", [refused])
    assert (Visit.objects.count(), Customer.objects.count()) == (0, 0)


@pytest.mark.parametrize("body", [{}, {"entries": []}, {"entries": "x"}, {"entries": [1]}, {"entries": [{}] * 101}])
def test_bad_body_is_refused_as_a_whole(bob, exhibition, body):
    assert caller_of(bob).post(URL, body).status_code == 400


def test_entry_of_another_person_is_not_overwritten(bob, member_of, exhibition):
    sent(caller_of(bob), entry(exhibition))

    (outcome,) = sent(caller_of(member_of("Manager")), entry(exhibition))

    assert reasons(outcome) == ("refused", [("client_uuid", "invalid")])


def test_capture_requires_the_permission_to_add_visits(member_of, exhibition):
    body = {"entries": [entry(exhibition)]}

    assert Caller().post(URL, body).status_code == 401
    assert caller_of(member_of("Read-only")).post(URL, body).status_code == 403
    assert caller_of(member_of("Stand staff", exhibition)).post(URL, body).status_code == 200


def test_stand_staff_captures_only_at_their_own_exhibition(member_of, exhibition):
    member = member_of("Stand staff", make_exhibition(edition="2031"))

    (outcome,) = sent(caller_of(member), entry(exhibition))

    assert reasons(outcome) == ("refused", [("exhibition", "does_not_exist")])


@pytest.mark.django_db(transaction=True)
def test_fifty_sendings_at_a_time_make_one_visit(alice):
    exhibition, start, answers = make_exhibition(), Barrier(50), []

    def send():
        caller = caller_of(alice)
        start.wait()
        answers.extend(sent(caller, entry(exhibition)))
        connections.close_all()

    threads = [Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    visit = Visit.objects.get()
    assert sorted(answer["status"] for answer in answers) == ["known"] * 49 + ["recorded"]
    assert {UUID(answer["visit"]) for answer in answers} == {visit.public_id}

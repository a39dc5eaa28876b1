"""Bulk capture of visits over the API."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.utils import timezone

from core_apps.accounts.models import ApiToken
from core_apps.messaging.models import Consent, Wording
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


def send(caller, *entries):
    response = caller.post(URL, {"entries": entries})
    assert response.status_code == 200
    return response.json()["results"]


def reasons(outcome):
    return outcome["status"], [(error["field"], error["code"]) for error in outcome["errors"]]


def test_visits_of_new_and_known_customers_are_recorded(bob, exhibition):
    known = make_customer()
    of_known = entry(exhibition, SECOND, customer=str(known.public_id), interests=["LED"], note="Wants a quote")
    del of_known["new_customer"]

    results = send(caller_of(bob), entry(exhibition), of_known)

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


def test_consent_is_recorded_with_the_visit(bob, exhibition):
    wording = Wording.objects.create(purpose="visit", language="en", text="I agree to get e-mails.")

    send(caller_of(bob), entry(exhibition, consents=[str(wording.public_id)]))
    send(caller_of(bob), entry(exhibition, consents=[str(wording.public_id)]))  # the response was lost

    _plain, token = ApiToken.objects.create_token(bob, timedelta(days=1), name="Scanner", scopes=["capture"])
    headers = {"Authorization": f"Token {token}"}
    body = {"entries": [entry(exhibition, SECOND, consents=[str(wording.public_id)])]}
    assert Caller(headers=headers).post(URL, body).status_code == 200

    assert list(Consent.objects.values_list("wording", "given", "method", "at", "by")) == [
        (wording.pk, True, "form", datetime(2026, 3, 11, 9, 30, tzinfo=UTC), bob.pk),
        (wording.pk, True, "api", datetime(2026, 3, 11, 9, 30, tzinfo=UTC), bob.pk),
    ]


def test_consent_from_a_phone_whose_clock_is_fast_can_be_withdrawn(bob, exhibition):
    wording = Wording.objects.create(purpose="visit", language="en", text="I agree to get e-mails.")
    moment = (timezone.now() + timedelta(hours=20)).isoformat()
    send(caller_of(bob), entry(exhibition, visited_at=moment, consents=[str(wording.public_id)]))

    customer = Customer.objects.get()
    withdrawal = Consent.objects.create(recipient=customer, wording=wording, given=False, method="spoken")

    assert Consent.objects.latest_of(customer, "visit", "email").get() == withdrawal


def test_consent_to_an_unknown_wording_is_refused(bob, exhibition):
    results = send(caller_of(bob), entry(exhibition, consents=[FIRST]))

    assert [reasons(outcome) for outcome in results] == [("refused", [("consents", "does_not_exist")])]
    assert Customer.objects.count() == 0


def test_consent_requires_the_permission_to_record_it(member_of, exhibition):
    wording = Wording.objects.create(purpose="visit", language="en", text="I agree to get e-mails.")
    person = member_of("Stand staff", exhibition)
    Group.objects.get(name="Stand staff").permissions.remove(Permission.objects.get(codename="add_consent"))

    results = send(caller_of(person), entry(exhibition, consents=[str(wording.public_id)]), entry(exhibition, SECOND))

    assert [reasons(outcome) for outcome in results] == [("refused", [(None, "permission_denied")]), ("recorded", [])]


def test_entry_that_is_sent_twice_counts_once(bob, exhibition):
    caller = caller_of(bob)
    first = send(caller, entry(exhibition))
    second = send(caller, entry(exhibition), entry(exhibition))

    assert [outcome["status"] for outcome in first + second] == ["recorded", "known", "known"]
    assert {outcome["visit"] for outcome in first + second} == {str(Visit.objects.get().public_id)}
    assert Customer.objects.count() == 1


def test_entry_that_was_recorded_stays_known_when_its_exhibition_is_out_of_sight(member_of, exhibition):
    member = member_of("Stand staff", exhibition)
    send(caller_of(member), entry(exhibition))
    member.exhibitions.clear()

    assert [outcome["status"] for outcome in send(caller_of(member), entry(exhibition))] == ["known"]


def test_one_bad_entry_spoils_no_other(bob, exhibition):
    results = send(caller_of(bob), entry(exhibition, grade="E"), entry(exhibition, SECOND))

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
        ({"visited_at": "2026-03-11T09:30:00"}, ("visited_at", "no_offset")),
        ({"visited_at": "2999-01-01T00:00:00Z"}, ("visited_at", "date_out_of_range")),
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
    (outcome,) = send(caller_of(bob), entry(exhibition, **changes))

    assert reasons(outcome) == ("refused", [refused])
    assert (Visit.objects.count(), Customer.objects.count()) == (0, 0)


@pytest.mark.parametrize("body", [{}, {"entries": []}, {"entries": "x"}, {"entries": [1]}, {"entries": [{}] * 101}])
def test_bad_body_is_refused_as_a_whole(bob, exhibition, body):
    assert caller_of(bob).post(URL, body).status_code == 400


def test_entry_of_another_person_is_not_overwritten(bob, member_of, exhibition):
    send(caller_of(bob), entry(exhibition))

    (outcome,) = send(caller_of(member_of("Manager")), entry(exhibition))

    assert reasons(outcome) == ("refused", [("client_uuid", "invalid")])


def test_capture_requires_the_permission_to_add_visits(member_of, exhibition):
    body = {"entries": [entry(exhibition)]}

    assert Caller().post(URL, body).status_code == 401
    assert caller_of(member_of("Read-only")).post(URL, body).status_code == 403
    assert caller_of(member_of("Stand staff", exhibition)).post(URL, body).status_code == 200


def test_stand_staff_captures_only_at_their_own_exhibition(member_of, exhibition):
    member = member_of("Stand staff", make_exhibition(edition="2031"))

    (outcome,) = send(caller_of(member), entry(exhibition))

    assert reasons(outcome) == ("refused", [("exhibition", "does_not_exist")])


@pytest.mark.django_db(transaction=True)
def test_fifty_sendings_at_a_time_make_one_visit(alice):
    exhibition, start, answers = make_exhibition(), Barrier(50), []

    def send_once():
        caller = caller_of(alice)
        start.wait()
        answers.extend(send(caller, entry(exhibition)))
        connections.close_all()

    threads = [Thread(target=send_once) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    visit = Visit.objects.get()
    assert sorted(answer["status"] for answer in answers) == ["known"] * 49 + ["recorded"]
    assert {UUID(answer["visit"]) for answer in answers} == {visit.public_id}

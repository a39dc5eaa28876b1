from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from customers.models import FollowUp
from customers.tests.factories import make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

LIST = "admin:customers_followup_changelist"


def notes_of(response) -> list[str]:
    return [row.note for row in response.context["cl"].result_list]


@pytest.fixture
def various(alice, bob) -> None:
    customer, later = make_customer(), timezone.now() + timedelta(days=2)
    make_follow_up(customer=customer, note="mine", assignee=alice, due_at=later)
    make_follow_up(customer=customer, note="overdue", assignee=bob)
    make_follow_up(customer=customer, note="nobody's", due_at=later)
    make_follow_up(customer=customer, note="completed", assignee=alice, completed_at=timezone.now())


@pytest.mark.usefixtures("various")
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", ["mine", "nobody's", "overdue"]),
        ("open", ["mine", "nobody's", "overdue"]),
        ("mine", ["mine"]),
        ("overdue", ["overdue"]),
        ("unassigned", ["nobody's"]),
        ("completed", ["completed"]),
        ("all", ["completed", "mine", "nobody's", "overdue"]),
        ("nonsense", ["mine", "nobody's", "overdue"]),
    ],
)
def test_state_narrows_the_list(state, expected, alice, client_of):
    response = client_of(alice).get(reverse(LIST), {"state": state} if state else {}, secure=True)

    assert sorted(notes_of(response)) == expected


def test_next_due_comes_first(alice, client_of):
    customer = make_customer()
    for day in (12, 10, 11):
        make_follow_up(customer=customer, note=str(day), due_at=datetime(2026, 3, day, tzinfo=UTC))

    assert notes_of(client_of(alice).get(reverse(LIST), secure=True)) == ["10", "11", "12"]


def test_done_button_completes_and_assigns_the_follow_up(bob, client_of):
    follow_up = make_follow_up()
    here = reverse(LIST) + "?state=overdue"

    response = client_of(bob).post(
        reverse("admin:customers_followup_done", args=[follow_up.pk]), {"next": here}, secure=True
    )

    just_done = FollowUp.objects.filter(completed_at__gt=timezone.now() - timedelta(minutes=1))
    assert response.headers["Location"] == here
    assert list(just_done.values_list("pk", "assignee")) == [(follow_up.pk, bob.pk)]


def test_done_twice_keeps_the_first_time_and_person(alice, bob, client_of):
    follow_up = make_follow_up(assignee=alice, completed_at=datetime(2026, 3, 12, 9, tzinfo=UTC))

    client_of(bob).post(reverse("admin:customers_followup_done", args=[follow_up.pk]), secure=True)

    follow_up.refresh_from_db()
    assert (follow_up.assignee, follow_up.completed_at) == (alice, datetime(2026, 3, 12, 9, tzinfo=UTC))


@pytest.mark.parametrize("address", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
def test_done_returns_to_no_other_site(address, bob, client_of):
    response = client_of(bob).post(
        reverse("admin:customers_followup_done", args=[make_follow_up().pk]), {"next": address}, secure=True
    )

    assert response.headers["Location"] == reverse(LIST)


def test_done_by_a_link_is_refused(bob, client_of):
    follow_up = make_follow_up()

    response = client_of(bob).get(reverse("admin:customers_followup_done", args=[follow_up.pk]), secure=True)

    assert (response.status_code, FollowUp.objects.open().count()) == (405, 1)


def test_outcome_completes_it(bob, client_of):
    follow_up = make_follow_up(assignee=bob)
    page = reverse("admin:customers_followup_change", args=[follow_up.pk])
    form = {
        "customer": follow_up.customer_id,
        "channel": "phone",
        "priority": "2",
        "due_at_0": "2026-03-12",
        "due_at_1": "08:00",
        "outcome": "quote",
    }

    client_of(bob).post(page, form, secure=True)

    follow_up.refresh_from_db()
    assert (follow_up.outcome, follow_up.completed_at is None) == ("quote", False)


def test_visit_of_another_customer_is_refused_with_the_name(bob, client_of):
    other = make_visit(customer=make_customer(given_name="Jonas", family_name="Brandt", email=""))
    customer = make_customer(email="")
    form = {"customer": customer.pk, "visit": other.pk, "channel": "phone", "priority": "2"}

    response = client_of(bob).post(
        reverse("admin:customers_followup_add"),
        form | {"due_at_0": "2026-03-12", "due_at_1": "08:00"},
        secure=True,
    )

    assert response.context["adminform"].errors == {"visit": ["This visit belongs to another customer: Jonas Brandt."]}
    assert FollowUp.objects.count() == 0


def test_stand_staff_sees_own_ones_and_those_of_the_own_exhibition(member_of):
    mine, other = make_exhibition(), make_exhibition(edition="2027")
    customer, person = make_customer(), member_of("Stand staff", mine)
    make_follow_up(customer=customer, note="other", visit=make_visit(customer=customer, exhibition=other))
    make_follow_up(customer=customer, note="exhibition", visit=make_visit(customer=customer, exhibition=mine))
    make_follow_up(customer=customer, note="own", assignee=person)

    visible = FollowUp.objects.visible_to(person)

    assert sorted(visible.values_list("note", flat=True)) == ["exhibition", "own"]


@pytest.mark.usefixtures("various")
def test_all_rows_taken_over_by_one_action(bob, client_of):
    form = {"action": "assign_to_me", "_selected_action": ["0"], "select_across": "1"}

    client_of(bob).post(reverse(LIST), form, secure=True)

    taken = FollowUp.objects.assigned_to(bob).values_list("note", flat=True)
    assert sorted(taken) == ["mine", "nobody's", "overdue"]


@pytest.mark.usefixtures("various")
def test_all_rows_done_by_one_action(bob, client_of):
    form = {"action": "mark_done", "_selected_action": ["0"], "select_across": "1"}

    client_of(bob).post(reverse(LIST), form, secure=True)

    assert (FollowUp.objects.open().count(), FollowUp.objects.assigned_to(bob).count()) == (0, 2)

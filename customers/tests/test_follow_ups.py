from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

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


def done_address(follow_up) -> str:
    return reverse("admin:customers_followup_done", args=[follow_up.pk])


def test_done_asks_for_the_outcome_and_completes_nothing_yet(bob, client_of):
    follow_up = make_follow_up(customer=make_customer(phone="+47 22 33 44 55"), note="Send the price list.")

    response = client_of(bob).get(done_address(follow_up), secure=True)

    offered = [value for value, _label in response.context["form"]["outcome"].field.choices]
    assert offered == ["", *FollowUp.Outcome.values]
    assert "tel:+4722334455" in response.text
    assert "Send the price list." in response.text
    assert FollowUp.objects.open().count() == 1


@pytest.mark.parametrize("outcome", ["reached", ""])
def test_done_completes_and_assigns_the_follow_up_with_its_outcome(outcome, bob, client_of):
    follow_up = make_follow_up()
    here = reverse(LIST) + "?state=overdue"

    response = client_of(bob).post(done_address(follow_up), {"next": here, "outcome": outcome}, secure=True)

    just_done = FollowUp.objects.filter(completed_at__gt=timezone.now() - timedelta(minutes=1))
    assert response.headers["Location"] == here
    assert list(just_done.values_list("pk", "assignee", "outcome")) == [(follow_up.pk, bob.pk, outcome)]


def test_done_with_an_unknown_outcome_is_refused(bob, client_of):
    follow_up = make_follow_up()

    response = client_of(bob).post(done_address(follow_up), {"outcome": "eaten"}, secure=True)

    assert response.context["form"].errors == {
        "outcome": ["Select a valid choice. eaten is not one of the available choices."]
    }
    assert FollowUp.objects.open().count() == 1


@pytest.mark.parametrize("method", ["get", "post"])
def test_done_twice_keeps_the_first_time_person_and_outcome(method, alice, bob, client_of):
    first = {"assignee": alice, "completed_at": datetime(2026, 3, 12, 9, tzinfo=UTC), "outcome": "quote"}
    follow_up = make_follow_up(**first)

    response = getattr(client_of(bob), method)(done_address(follow_up), {"outcome": "declined"}, secure=True)

    follow_up.refresh_from_db()
    assert {name: getattr(follow_up, name) for name in first} == first
    assert response.headers["Location"] == reverse("admin:customers_followup_change", args=[follow_up.pk])


def test_done_by_who_may_only_look_is_refused(member_of, client_of):
    follow_up = make_follow_up()
    client = client_of(member_of("Read-only"))

    statuses = [ask(done_address(follow_up), secure=True).status_code for ask in (client.get, client.post)]

    assert (statuses, FollowUp.objects.open().count()) == ([403, 403], 1)


def test_done_returns_to_the_page_with_the_link(bob, client_of):
    client, address, page = client_of(bob), done_address(make_follow_up()), f"{reverse(LIST)}?state=mine"

    by_link = client.get(f"{address}?{urlencode({'next': page})}", secure=True)
    by_referer = client.get(address, secure=True, headers={"Referer": f"https://testserver{page}"})

    assert by_link.context["redirect_field_value"] == page
    assert by_referer.context["redirect_field_value"] == f"https://testserver{page}"


@pytest.mark.parametrize("address", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
def test_done_returns_to_no_other_site(address, bob, client_of):
    response = client_of(bob).post(done_address(make_follow_up()), {"next": address}, secure=True)

    assert response.headers["Location"] == reverse(LIST)


def test_done_does_not_return_to_itself(bob, client_of):
    address = done_address(make_follow_up())

    response = client_of(bob).post(address, {"next": address}, secure=True)

    assert response.headers["Location"] == reverse(LIST)


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
@pytest.mark.parametrize(("outcome", "stored"), [("no_answer", "no_answer"), ("", ""), ("eaten", None)])
def test_all_rows_done_by_one_action_with_their_outcome(outcome, stored, bob, client_of):
    form = {"action": "mark_done", "outcome": outcome, "_selected_action": ["0"], "select_across": "1"}

    client_of(bob).post(reverse(LIST), form, secure=True)

    done = list(FollowUp.objects.assigned_to(bob).completed().values_list("outcome", flat=True))
    assert (done, FollowUp.objects.open().count()) == (([stored] * 2, 0) if stored is not None else ([], 3))


# The customer's visit.

ADD = reverse("admin:customers_followup_add")


@pytest.fixture
def visits():
    """Two of one customer, the latest first, and one of another."""
    latest = make_visit(visited_at=datetime(2026, 3, 12, 9, 30, tzinfo=UTC))
    earlier = make_visit(customer=latest.customer, exhibition=latest.exhibition)
    other = make_visit(customer=make_customer(email="else@x.example"), exhibition=latest.exhibition)
    return [latest, earlier, other]


def preset(client, address: str) -> tuple[object, object]:
    initial = client.get(address, secure=True).context["adminform"].form.initial
    return initial.get("customer"), initial.get("visit")


def test_add_follow_up_presets_the_customer_and_the_latest_visit(visits, bob, client_of):
    client, (latest, earlier, _other) = client_of(bob), visits
    pages = [("customer", latest.customer_id), ("visit", latest.pk), ("visit", earlier.pk)]

    for model, key in pages:
        page = client.get(reverse(f"admin:customers_{model}_change", args=[key]), secure=True).text
        link = f"{ADD}?customer={latest.customer_id}"
        assert f'href="{link}"' in page
        assert preset(client, link) == (latest.customer_id, latest.pk)


def test_add_follow_up_presets_no_visit_without_one_or_of_another_stand(visits, bob, member_of, client_of):
    nobody, customer = make_customer(email=""), visits[0].customer
    elsewhere = make_exhibition(edition="2027")
    make_visit(customer=customer, exhibition=elsewhere, visited_at=datetime(2026, 2, 1, tzinfo=UTC))
    person = member_of("Stand staff", elsewhere)

    assert preset(client_of(bob), ADD) == (None, None)
    assert preset(client_of(bob), f"{ADD}?customer={nobody.pk}") == (nobody.pk, None)
    assert preset(client_of(bob), f"{ADD}?customer={customer.pk}&visit={visits[1].pk}") == (customer.pk, visits[1].pk)
    assert preset(client_of(person), f"{ADD}?customer={customer.pk}")[1] == person.exhibitions.get().visits.get().pk


@pytest.mark.parametrize(
    ("narrowed", "expected"), [("{customer}", [0, 1]), ("0", []), ("", [0, 2, 1]), ("nonsense", [0, 2, 1])]
)
def test_chooser_offers_the_visits_of_the_customer(narrowed, expected, visits, bob, client_of):
    query = {"app_label": "customers", "model_name": "followup", "field_name": "visit", "term": ""}
    query["customer__id__exact"] = narrowed.format(customer=visits[0].customer_id)

    offered = client_of(bob).get(reverse("admin:autocomplete"), query, secure=True).json()["results"]

    assert [int(one["id"]) for one in offered] == [visits[number].pk for number in expected]


def test_chooser_tells_visits_apart_by_their_time(visits):
    assert [visit.label for visit in visits[:2]] == [
        "Ingrid Haugen at Harbour Fair 2026, 03/12/2026 10:30 AM",
        "Ingrid Haugen at Harbour Fair 2026, 03/11/2026 10:30 AM",
    ]

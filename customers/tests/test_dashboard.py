from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.models import User
from customers.dashboard import Dashboard
from customers.models import Customer, Exhibition
from customers.tests.factories import make_company, make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

MORNING = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)


def dashboard_of(client, **parameters) -> Dashboard:
    dashboard: Dashboard = client.get(reverse("admin:index"), parameters, secure=True).context["dashboard"]
    return dashboard


def visit_of(exhibition: Exhibition, grade: str = "A", contacted: float | None = None, by: User | None = None, **more):
    """A visit, and a follow-up completed so many hours later."""
    number = exhibition.visits.count()
    visit = make_visit(
        exhibition=exhibition,
        customer=make_customer(email=f"{exhibition.pk}-{number}@example.com"),
        grade=grade,
        captured_by=by,
        **{"visited_at": MORNING} | more,
    )
    if contacted is not None:
        make_follow_up(visit=visit, completed_at=visit.visited_at + timedelta(hours=contacted))
    return visit


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(("role", "queries"), [("Manager", 6), ("Stand staff", 6)])
def test_first_screen_takes_the_same_six_queries_for_1_and_3_rows(
    rows, role, queries, member_of, client_of, django_assert_num_queries
):
    exhibitions = [make_exhibition(edition=str(number)) for number in range(rows)]
    person = member_of(role, *exhibitions)
    for exhibition in exhibitions:
        for _ in range(rows):
            visit = visit_of(exhibition, contacted=1, by=person)
            make_follow_up(visit=visit, assignee=person)
    client = client_of(person)

    with django_assert_num_queries(queries):
        dashboard = dashboard_of(client)

    assert (len(dashboard.exhibitions), dashboard.all.visits) == (rows, rows)
    assert len(dashboard.overdue) == rows * rows
    assert (len(dashboard.newest), len(dashboard.met_last)) == ((rows * rows, 0) if role == "Manager" else (0, rows))


def test_exhibition_with_an_unknown_time_zone_breaks_no_page(alice, client_of):
    exhibition = make_exhibition(time_zone="Mars/North")
    visit_of(exhibition, "A", visited_at=datetime(2026, 3, 11, 23, tzinfo=UTC))

    assert [f"{line.label:%d}" for line in dashboard_of(client_of(alice)).days] == ["11"]
    for name in ("admin:capture", "admin:customers_exhibition_changelist", "admin:customers_visit_add"):
        assert client_of(alice).get(reverse(name), secure=True).status_code == 200


def test_visits_are_counted_by_local_day_and_by_grade(alice, client_of):
    exhibition = make_exhibition(time_zone="Asia/Tokyo")
    for hour, grade in ((14, "A"), (15, "B"), (16, "B"), (17, "")):
        visit_of(exhibition, grade, visited_at=datetime(2026, 3, 11, hour, tzinfo=UTC))

    dashboard = dashboard_of(client_of(alice))

    assert [(f"{line.label:%d}", line.counts) for line in dashboard.days] == [
        ("11", [1, 0, 0, 0, 0]),
        ("12", [0, 2, 0, 0, 1]),
    ]
    assert [(line.label, line.tally.visits) for line in dashboard.grades] == [("A", 1), ("B", 2), ("", 1)]
    assert [(part.grade, part.start, part.width) for part in dashboard.days[1].segments] == [
        ("B", "0.00%", "66.67%"),
        ("none", "66.67%", "33.33%"),
    ]


@pytest.mark.parametrize(
    ("hours", "within"), [(0, (1, 1)), (24, (1, 1)), (24.001, (0, 1)), (48, (0, 1)), (48.001, (0, 0)), (None, (0, 0))]
)
def test_visit_counts_as_contacted_when_a_follow_up_was_completed_in_time(hours, within, alice, client_of):
    visit_of(make_exhibition(), contacted=hours)

    tally = dashboard_of(client_of(alice)).all

    assert (tally.within_24_h, tally.within_48_h) == within


def test_contact_that_names_no_visit_counts(alice, client_of):
    visit = visit_of(make_exhibition())
    make_follow_up(customer=visit.customer, completed_at=visit.visited_at + timedelta(hours=2))

    tally = dashboard_of(client_of(alice)).all

    assert (tally.visits, tally.within_24_h) == (1, 1)


def test_first_of_several_contacts_counts_and_none_from_before_the_visit(alice, client_of):
    visit = visit_of(make_exhibition(), contacted=47)
    make_follow_up(visit=visit, completed_at=visit.visited_at + timedelta(hours=20))
    make_follow_up(visit=visit, completed_at=None)
    early = visit_of(visit.exhibition, contacted=-1)

    tally = dashboard_of(client_of(alice)).all

    assert early.follow_ups.count() == 1
    assert (tally.visits, tally.within_24_h, tally.within_48_h) == (2, 1, 1)
    assert (tally.percent_24_h, tally.percent_48_h) == (50, 50)


def test_people_are_listed_by_their_visits_and_namesakes_apart(alice, bob, member_of, client_of):
    exhibition = make_exhibition()
    other_bob = member_of("Manager", name="Bob 2")
    User.objects.filter(pk=other_bob.pk).update(name="Bob")
    for person in (bob, alice, bob, None, other_bob, bob, alice, None, None, None):
        visit_of(exhibition, by=person)

    people = dashboard_of(client_of(alice)).people

    assert [(line.label, line.tally.visits) for line in people] == [("", 4), ("Bob", 3), ("Alice", 2), ("Bob", 1)]


def test_open_exhibition_comes_before_a_later_one_that_is_over(alice, client_of):
    today = timezone.localdate()
    long = make_exhibition(edition="long", starts_on=today - timedelta(9), ends_on=today + timedelta(1))
    over = make_exhibition(edition="over", starts_on=today - timedelta(5), ends_on=today - timedelta(3))
    make_exhibition(edition="to come", starts_on=today + timedelta(5), ends_on=today + timedelta(6))
    client = client_of(alice)

    assert dashboard_of(client).exhibition == long
    assert dashboard_of(client).exhibitions == [over, long]
    assert dashboard_of(client, exhibition=over.pk).exhibition == over
    assert dashboard_of(client, exhibition="nonsense").exhibition == long


def test_exhibition_that_opened_last_is_shown_where_none_is_open(alice, client_of):
    make_exhibition(edition="2025", starts_on=datetime(2025, 3, 10), ends_on=datetime(2025, 3, 12))
    newest = make_exhibition()

    assert dashboard_of(client_of(alice)).exhibition == newest


def test_stand_staff_see_only_their_exhibitions(member_of, client_of):
    ours, theirs = make_exhibition(edition="ours"), make_exhibition(edition="theirs")
    dana = member_of("Stand staff", ours)
    visit, other = visit_of(ours), visit_of(theirs)
    make_follow_up(visit=visit, note="ours")
    make_follow_up(visit=other, note="theirs")

    dashboard = dashboard_of(client_of(dana), exhibition=theirs.pk)

    assert (dashboard.exhibitions, dashboard.exhibition) == ([ours], ours)
    assert [follow_up.note for follow_up in dashboard.overdue] == ["ours"]
    assert (dashboard.newest, dashboard.met_last) == ((), [(visit.customer, date(2026, 3, 11))])


def test_stand_staff_see_each_customer_met_last_once_without_archived(member_of, client_of):
    exhibition = make_exhibition()
    dana = member_of("Stand staff", exhibition)
    visits = [visit_of(exhibition, visited_at=MORNING + timedelta(minutes=number)) for number in range(13)]
    for visit in (visits[0], visits[12]):
        make_visit(exhibition=exhibition, customer=visit.customer, visited_at=MORNING + timedelta(hours=1))
    Customer.objects.filter(pk=visits[11].customer_id).update(archived_at=timezone.now())

    met_last = dashboard_of(client_of(dana)).met_last

    expected = [visits[number].customer for number in (12, 0, 10, 9, 8, 7, 6, 5, 4, 3)]
    assert [customer for customer, _day in met_last] == expected


def test_user_without_permissions_sees_an_empty_dashboard(charlie, client_of):
    charlie.is_staff = True
    charlie.save()
    visit_of(make_exhibition(), contacted=1)

    response = client_of(charlie).get(reverse("admin:index"), secure=True)

    assert response.context["dashboard"] == Dashboard()
    assert response.status_code == 200


def test_ten_longest_overdue_follow_ups_are_listed_with_buttons(bob, client_of):
    customer = make_customer(company=make_company())
    for day in range(12):
        make_follow_up(customer=customer, note=str(day), due_at=MORNING + timedelta(days=day))
    make_follow_up(customer=customer, due_at=timezone.now() + timedelta(hours=1))
    make_follow_up(customer=customer, completed_at=MORNING)

    response = client_of(bob).get(reverse("admin:index"), secure=True)

    overdue = response.context["dashboard"].overdue
    assert [follow_up.note for follow_up in overdue] == [str(day) for day in range(10)]
    links = [reverse("admin:customers_followup_done", args=[one.pk]) for one in overdue]
    assert [response.text.count(f'href="{address}?next=/admin/"') for address in links] == [1] * 10


def test_read_only_user_sees_overdue_follow_ups_without_a_button(member_of, client_of):
    make_follow_up()

    response = client_of(member_of("Read-only")).get(reverse("admin:index"), secure=True)

    assert (len(response.context["dashboard"].overdue), "/done/" in response.text) == (1, False)


def test_archived_customer_is_not_among_the_newest(alice, client_of):
    current = make_customer()
    make_customer(email="gone@example.com", archived_at=timezone.now())

    assert dashboard_of(client_of(alice)).newest == [(current, timezone.localdate())]

"""The daily e-mail of follow-ups."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.urls import reverse

from core_apps.accounts.models import User
from core_apps.tasks.models import Task
from customers.digest import build_digest, queue_due
from customers.models import Customer
from customers.services.customers import archive_customers
from customers.tests.factories import make_customer, make_follow_up

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 12, 6, tzinfo=UTC)  # seven in Berlin


@pytest.mark.parametrize(
    ("zone", "first", "expected"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, 23, tzinfo=UTC), ["2026-03-29 05:00", "2026-03-30 05:00"]),  # shorter
        ("Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), ["2026-10-25 06:00", "2026-10-26 06:00"]),  # longer
        ("Asia/Kathmandu", datetime(2026, 3, 11, 18, 15, tzinfo=UTC), ["2026-03-12 01:15", "2026-03-13 01:15"]),
    ],
)
def test_digest_comes_once_a_day_at_seven_in_the_zone_of_the_person(zone, first, expected, alice):
    User.objects.update(time_zone=zone)

    queued = []
    for quarter in range(4 * 47):
        moment, before = first + timedelta(minutes=15 * quarter), Task.objects.count()
        queue_due(moment)
        if Task.objects.count() > before:
            queued.append(f"{moment:%Y-%m-%d %H:%M}")

    assert queued == expected


@pytest.mark.parametrize("changes", [{"daily_digest": False}, {"is_active": False}, {"is_staff": False}])
def test_digest_is_not_for_who_has_turned_it_off_or_cannot_log_in(changes, alice):
    User.objects.update(**changes)

    queue_due(NOW.replace(hour=8))

    assert Task.objects.count() == 0


def test_digest_lists_own_follow_ups_and_those_of_nobody(alice, bob):
    User.objects.filter(pk=alice.pk).update(time_zone="Europe/Berlin")
    alice.refresh_from_db()
    for name, due, assignee in (
        ("Late", NOW - timedelta(days=1), alice),
        ("Soon", NOW + timedelta(hours=16, minutes=59), alice),
        ("Tomorrow", NOW + timedelta(hours=17), alice),
        ("Free", NOW + timedelta(days=9), None),
        ("Bobs", NOW, bob),
    ):
        make_follow_up(customer=make_customer(given_name="", family_name=name, email=""), due_at=due, assignee=assignee)

    digest = build_digest(alice, NOW)

    assert digest
    assert (digest.to, digest.subject) == (["alice@example.com"], "Today: 1, Overdue: 1, Unassigned: 1")
    assert [line for line in str(digest.body).splitlines() if line.startswith("*")] == [
        "* 03/12/2026 11:59 PM, Phone: Soon",
        "* 03/11/2026 7:00 AM, Phone: Late",
        "* 03/21/2026 7:00 AM, Phone: Free",
    ]


def test_digest_is_in_the_language_of_the_person(alice):
    alice.language = "de"
    make_follow_up(due_at=NOW - timedelta(days=1), assignee=alice)

    digest = build_digest(alice, NOW)

    assert digest
    assert digest.subject == "Überfällig: 1"


def test_nobody_gets_a_digest_without_anything_to_do(alice):
    make_follow_up(due_at=NOW - timedelta(days=1), assignee=alice)
    archive_customers(Customer.objects.all())

    assert build_digest(alice, NOW) is None


def test_digest_has_no_follow_ups_out_of_sight(member_of):
    make_follow_up(due_at=NOW)

    assert (build_digest(member_of("Stand staff"), NOW), mail.outbox) == (None, [])


def test_person_turns_the_digest_off(bob, client_of):
    client_of(bob).post(reverse("admin:settings"), {"time_zone": "", "language": "de"}, secure=True)

    bob.refresh_from_db()
    assert (bob.daily_digest, bob.language) == (False, "de")

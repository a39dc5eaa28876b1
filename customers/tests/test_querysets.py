from datetime import UTC, date, datetime

import pytest

from customers.models import Customer, Exhibition, Visit
from customers.tests.factories import make_customer, make_exhibition, make_visit

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 3, 9, 14, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 9, 15, 0, tzinfo=UTC), True),  # midnight in Tokyo
        (datetime(2026, 3, 12, 14, 59, tzinfo=UTC), True),
        (datetime(2026, 3, 12, 15, 0, tzinfo=UTC), False),
    ],
)
def test_open_at_uses_the_days_of_the_time_zone(moment, is_open):
    exhibition = make_exhibition(time_zone="Asia/Tokyo", starts_on=date(2026, 3, 10), ends_on=date(2026, 3, 12))

    assert list(Exhibition.objects.open_at(moment)) == ([exhibition] if is_open else [])


def test_active_leaves_inactive_customers_out():
    lead = make_customer()
    make_customer(stage="inactive")

    assert list(Customer.objects.active()) == [lead]


def test_unowned_are_active_customers_without_owner(alice):
    unowned = make_customer()
    make_customer(owner=alice)
    make_customer(stage="inactive")

    assert list(Customer.objects.unowned()) == [unowned]


def test_owned_by_gives_only_that_users_customers(alice, bob):
    hers = make_customer(owner=alice)
    make_customer(owner=bob)

    assert list(Customer.objects.owned_by(alice)) == [hers]


def test_met_gives_each_customer_once():
    fair, other = make_exhibition(), make_exhibition(edition="2027")
    visit = make_visit(exhibition=fair)
    make_visit(exhibition=fair, customer=visit.customer, visited_at=datetime(2026, 3, 12, tzinfo=UTC))
    make_visit(exhibition=other, customer=make_customer(email="else@nordlys.example"))

    assert list(Customer.objects.met(Visit.objects.met_at(fair))) == [visit.customer]
    assert Visit.objects.met_at(fair).count() == 2

"""The rows that stand staff see."""

from datetime import UTC, datetime

import pytest

from customers.models import Customer, FollowUp, Visit
from customers.tests.factories import make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db


@pytest.fixture
def fairs(member_of):
    """Two exhibitions of one person, and a third; at each a visit with a follow-up."""
    exhibitions = [make_exhibition(edition=str(number)) for number in range(3)]
    for number, exhibition in enumerate(exhibitions):
        customer = make_customer(email=f"{number}@example.com")
        visit = make_visit(
            exhibition=exhibition, customer=customer, visited_at=datetime(2026, 3, number + 1, tzinfo=UTC)
        )
        make_follow_up(visit=visit)
    return member_of("Stand staff", *exhibitions[:2])


def emails(rows) -> list[str]:
    return sorted(str(getattr(row, "customer", row).email) for row in rows)


@pytest.mark.parametrize("model", [Customer, Visit, FollowUp])
def test_rows_of_ones_own_exhibitions_are_seen(model, fairs):
    assert emails(model.objects.visible_to(fairs)) == ["0@example.com", "1@example.com"]


def test_rows_that_are_ones_own_are_seen_wherever_they_were_met(fairs):
    Customer.objects.filter(email__startswith="2").update(owner=fairs)
    FollowUp.objects.filter(customer__email__startswith="2").update(assignee=fairs)

    assert len(emails(Customer.objects.visible_to(fairs))) == 3
    assert len(emails(FollowUp.objects.visible_to(fairs))) == 3
    assert len(emails(Visit.objects.visible_to(fairs))) == 2


def test_customer_with_two_visits_is_listed_once(fairs):
    visit = Visit.objects.visible_to(fairs)[0]
    make_visit(customer=visit.customer, exhibition=visit.exhibition)
    Customer.objects.update(owner=fairs)

    assert len(emails(Customer.objects.visible_to(fairs).filter(pk=visit.customer_id))) == 1


def test_user_without_exhibition_sees_only_their_own_rows(fairs, member_of):
    person = member_of("Stand staff")
    Customer.objects.filter(email__startswith="1").update(owner=person)
    FollowUp.objects.filter(customer__email__startswith="2").update(assignee=person)

    assert emails(Customer.objects.visible_to(person)) == ["1@example.com"]
    assert emails(FollowUp.objects.visible_to(person)) == ["2@example.com"]
    assert emails(Visit.objects.visible_to(person)) == []


@pytest.mark.parametrize("model", [Customer, Visit, FollowUp])
@pytest.mark.parametrize("text", ["ingrid", "ingrid 1@example", "1@example.com", "nobody", "ingrid nobody", "..."])
def test_search_within_ones_own_rows(model, text, fairs):
    expected = {"ingrid": ["0@example.com", "1@example.com"], "nobody": [], "ingrid nobody": [], "...": []}

    found = model.objects.visible_to(fairs).matching(text)

    assert emails(found) == expected.get(text, ["1@example.com"])


def test_visits_of_several_exhibitions_are_paged_in_one_order(fairs, client_of, monkeypatch):
    monkeypatch.setattr("customers.admin.visit.VisitAdmin.list_per_page", 2)
    first, exhibitions = Visit.objects.visible_to(fairs)[0], fairs.exhibitions.order_by("pk")
    for day in range(3, 8):
        make_visit(
            customer=first.customer,
            exhibition=exhibitions[day % 2],
            visited_at=datetime(2026, 3, day, tzinfo=UTC),
        )
    client, address, pages = client_of(fairs), "/admin/customers/visit/", []
    while address:
        changes = client.get(address, secure=True).context["cl"]
        pages.append([visit.visited_at.day for visit in changes.result_list])
        following = dict(changes.get_page_links())["next"]
        address = following and f"/admin/customers/visit/{following}"

    assert pages == [[7, 6], [5, 4], [3, 2], [1]]

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from customers.models import Customer
from customers.tests.factories import make_customer, make_exhibition, make_follow_up, make_visit
from customers.timeline import MAX_EVENTS, build_timeline

pytestmark = pytest.mark.django_db


def page_of(customer: Customer) -> str:
    return reverse("admin:customers_customer_change", args=[customer.pk])


def test_timeline_has_visits_follow_ups_and_changes_newest_first(alice, client_of):
    visit = make_visit(captured_by=alice, note="Wants a quote.")
    make_follow_up(visit=visit, assignee=alice, outcome="quote", completed_at=datetime(2026, 3, 13, tzinfo=UTC))
    make_follow_up(customer=visit.customer, due_at=datetime(2026, 3, 20, tzinfo=UTC), channel="email")
    form = {"given_name": "Inga", "family_name": "Haugen", "stage": "prospect", "source": "stand"}
    client_of(alice).post(page_of(visit.customer), form, secure=True)

    entries = client_of(alice).get(page_of(visit.customer), secure=True).context["timeline"]

    mail = "ingrid@nordlys.example"
    assert [(entry.kind, entry.text, entry.note, entry.by) for entry in entries] == [
        ("change", f"Given name: Ingrid → Inga; E-mail: {mail} → -; Stage: Lead → Prospect", "", "Alice, Admin"),
        ("change", "Added.", "", "Database (exhibition)"),
        ("follow-up", "E-mail: to do", "", ""),
        ("follow-up", "Phone: Quote wanted", "", "Alice"),
        ("visit", "Harbour Fair 2026, A: buys soon", "Wants a quote.", "Alice"),
    ]


def test_timeline_of_a_long_history_takes_the_same_queries_and_shows_the_newest(alice, django_assert_num_queries):
    customer, exhibition, start = make_customer(), make_exhibition(), datetime(2026, 3, 11, tzinfo=UTC)
    for hours in range(3 * MAX_EVENTS):
        make_visit(customer=customer, exhibition=exhibition, visited_at=start + timedelta(hours=hours))
    build_timeline(customer, alice)

    with django_assert_num_queries(6):
        entries = build_timeline(customer, alice)

    assert [entry.text for entry in entries[:1]] == ["Added."]
    assert [entry.moment for entry in entries[1:]] == [
        start + timedelta(hours=hours) for hours in range(3 * MAX_EVENTS - 1, 2 * MAX_EVENTS, -1)
    ]


def test_timeline_leaves_out_the_visits_of_other_exhibitions(member_of, client_of):
    mine, other, customer = make_exhibition(), make_exhibition(edition="2027"), make_customer()
    for exhibition in (mine, other):
        make_visit(customer=customer, exhibition=exhibition)

    entries = client_of(member_of("Stand staff", mine)).get(page_of(customer), secure=True).context["timeline"]

    assert [entry.text for entry in entries] == ["Added.", "Harbour Fair 2026, A: buys soon"]


def test_timeline_links_to_done_of_open_follow_ups_for_who_may_change_them(bob, member_of, client_of):
    customer = make_customer()
    make_follow_up(customer=customer, completed_at=datetime(2026, 3, 13, tzinfo=UTC))
    address = reverse("admin:customers_followup_done", args=[make_follow_up(customer=customer).pk])
    link = f'href="{address}?next={page_of(customer)}"'

    pages = [client_of(person).get(page_of(customer), secure=True).text for person in (bob, member_of("Read-only"))]

    assert [(page.count(link), page.count("/done/")) for page in pages] == [(1, 1), (0, 0)]

import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from customers.models import CalendarFeed
from customers.tests.factories import make_customer, make_follow_up

pytestmark = pytest.mark.django_db
PAGE = reverse("admin:calendar")
DUE = datetime(2026, 12, 1, 14, 30, tzinfo=UTC)


def create_address(client) -> str:
    page = client.post(PAGE, secure=True, follow=True).text
    [address] = re.findall(r'<code id="address">https://testserver(.*?)</code>', page)
    return str(address)


def read(address: str):
    return Client().get(address, secure=True)


def test_calendar_has_the_open_follow_ups_of_its_user_alone(member_of, client_of, bob):
    dana = member_of("Manager", name="Dana")
    customer = make_customer(given_name="Kari", family_name="Lie, the younger", phone="+47 22 12 34 56")
    follow_up = make_follow_up(customer=customer, assignee=dana, due_at=DUE, note="Ask for lamps;\nthen write")
    make_follow_up(customer=customer, assignee=bob, due_at=DUE)
    make_follow_up(customer=customer, assignee=dana, due_at=DUE, completed_at=datetime(2026, 3, 1, tzinfo=UTC))

    response = read(create_address(client_of(dana)))
    lines = response.content.decode().replace("\r\n ", "").split("\r\n")

    assert response.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert [line for line in lines if line.startswith("UID")] == [f"UID:{follow_up.public_id}"]
    assert "DTSTART:20261201T143000Z" in lines
    assert "DTEND:20261201T150000Z" in lines
    [summary] = [line for line in lines if line.startswith("SUMMARY")]
    assert summary.startswith("SUMMARY:Phone: Kari Lie\\, the younger")
    [description] = [line for line in lines if line.startswith("DESCRIPTION")]
    assert description.startswith("DESCRIPTION:Ask for lamps\\;\\nthen write\\n+47 22 12 34 56")


def test_calendar_is_in_the_language_of_its_user_without_what_is_archived(member_of, client_of):
    dana = member_of("Manager", name="Dana")
    make_follow_up(assignee=dana)
    make_follow_up(customer=make_customer(email="", archived_at=DUE), assignee=dana)
    address = create_address(client_of(dana))
    dana.language = "de"
    dana.save()

    lines = read(address).content.decode().split("\r\n")

    assert [line.partition(" ")[0] for line in lines if line.startswith("SUMMARY")] == ["SUMMARY:Telefon:"]


@pytest.mark.parametrize("key", ["%00", "x", "ä", "a" * 5_000])
def test_address_that_is_not_ours_is_not_found(key, db):
    assert read(f"/calendar/{key}.ics").status_code == 404


def test_long_lines_are_folded_between_characters(member_of, client_of):
    dana = member_of("Manager", name="Dana")
    make_follow_up(assignee=dana, note="Größe " * 100)

    content = read(create_address(client_of(dana))).content

    assert max(map(len, content.split(b"\r\n"))) <= 75
    assert "Größe " * 100 in content.replace(b"\r\n ", b"").decode() + " "


def test_address_can_be_replaced_and_removed(member_of, client_of):
    client = client_of(member_of("Manager", name="Dana"))
    first = create_address(client)
    second = create_address(client)

    assert (read(first).status_code, read(second).status_code) == (404, 200)
    client.post(PAGE, {"remove": "1"}, secure=True)
    assert read(second).status_code == 404
    assert CalendarFeed.objects.count() == 0


def test_calendar_of_a_deactivated_user_is_gone(member_of, client_of):
    dana = member_of("Manager", name="Dana")
    address = create_address(client_of(dana))
    dana.is_active = False
    dana.save()

    assert read(address).status_code == 404


def test_page_needs_the_permission_to_view_follow_ups(member_of, client_of):
    user = member_of("Manager", name="Dana")
    user.groups.clear()

    assert client_of(user).get(PAGE, secure=True).status_code == 403

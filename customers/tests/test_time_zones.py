"""A visit has one day and one time everywhere: those of its exhibition."""

import json
from datetime import UTC, date, datetime
from itertools import pairwise, product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse

from core_apps.accounts.models import User
from customers.models import Customer, Exhibition, Visit
from customers.tests.factories import make_customer, make_exhibition, make_follow_up, make_visit

pytestmark = pytest.mark.django_db

LAS_VEGAS = "America/Los_Angeles"
VISITS = reverse("admin:customers_visit_changelist")


@pytest.fixture
def berliner(bob) -> User:
    """The server is in UTC."""
    bob.time_zone = "Europe/Berlin"
    bob.save()
    return bob  # type: ignore[no-any-return]


@pytest.fixture
def page(berliner, client_of) -> Any:
    """Return the text of a page; with values, send them first."""
    client = client_of(berliner)

    def fetch(name: str, *args: Any, **parameters: Any) -> str:
        return str(client.get(reverse(f"admin:{name}", args=args), parameters, secure=True).content, "utf-8")

    fetch.client = client  # type: ignore[attr-defined]
    return fetch


def make_fair(zone: str = LAS_VEGAS, **changes: Any) -> Exhibition:
    dates = {"starts_on": date(2026, 11, 24), "ends_on": date(2026, 11, 27)}
    return make_exhibition(name="Desert Fair", time_zone=zone, **dates | changes)


def add_visit(client: Any, exhibition: Exhibition, day: str, time: str) -> Any:
    form = {"customer": make_customer().pk, "exhibition": exhibition.pk, "visited_at_0": day, "visited_at_1": time}
    return client.post(reverse("admin:customers_visit_add"), form, secure=True)


def test_visit_entered_in_las_vegas_has_one_day_and_one_time_everywhere(page, berliner):
    exhibition = make_fair()
    add_visit(page.client, exhibition, "2026-11-26", "21:26")
    visit = Visit.objects.get()

    assert visit.visited_at == datetime(2026, 11, 27, 5, 26, tzinfo=UTC)
    assert f'Nov. 26, 2026, 9:26 PM <span class="quiet">{LAS_VEGAS}</span>' in page("customers_visit_changelist")
    form = page("customers_visit_change", visit.pk)
    assert ('value="2026-11-26"' in form, 'value="21:26:00"' in form) == (True, True)
    assert f"Desert Fair 2026 ({LAS_VEGAS})</option>" in form
    dashboard = page("index", exhibition=exhibition.pk)
    assert ("Thu 26 Nov" in dashboard, "Fri 27 Nov" in dashboard, f"({LAS_VEGAS})" in dashboard) == (True, False, True)
    assert f"11/26/2026 9:26 PM ({LAS_VEGAS})" in page("customers_customer_change", visit.customer_id)
    for address in (f"/api/v1/visits/{visit.public_id}/", "/api/v1/visits/"):
        body = page.client.get(address, secure=True).json()
        answer = body.get("results", [body])[0]
        assert (answer["visited_at"], answer["time_zone"]) == ("2026-11-26T21:26:00-08:00", LAS_VEGAS)
    capture = page("capture")
    assert f'data-zone="{LAS_VEGAS}"' in capture
    assert f"Desert Fair 2026 ({LAS_VEGAS})</option>" in capture


def test_captured_visit_has_the_day_of_the_exhibition(page):
    exhibition = make_fair("Asia/Kolkata")
    entry = {"client_uuid": "9b2f3c1a-1f0e-4b7c-8d55-6d0b6f1f2a01", "exhibition": str(exhibition.public_id)}
    entry |= {"visited_at": "2026-11-25T18:31:00.000Z", "customer": str(make_customer().public_id)}

    page.client.post(
        reverse("api_capture"), json.dumps({"entries": [entry]}), content_type="application/json", secure=True
    )

    assert "Nov. 26, 2026, 12:01 AM" in page("customers_visit_changelist")
    assert "Thu 26 Nov" in page("index", exhibition=exhibition.pk)


def test_times_of_the_export_are_in_utc_and_say_so(page):
    Customer.objects.filter(pk=make_customer().pk).update(created_at=datetime(2026, 11, 26, 23, 30, tzinfo=UTC))

    response = page.client.get(reverse("admin:customers_customer_export"), {"format": "csv"}, secure=True)

    headings, row = (line.split(",") for line in b"".join(response.streaming_content).decode().splitlines())
    assert (headings[-1], row[-1]) == ("created (UTC)", "2026-11-26 23:30:00")


@pytest.mark.parametrize(
    ("zone", "day", "time", "moment"),
    [
        ("Asia/Kolkata", "2026-11-26", "00:15", "2026-11-25T18:45Z"),
        ("Asia/Kathmandu", "2026-11-26", "00:15", "2026-11-25T18:30Z"),
        ("Australia/Adelaide", "2026-11-26", "09:00", "2026-11-25T22:30Z"),
        ("America/St_Johns", "2026-11-26", "23:59", "2026-11-27T03:29Z"),
        ("Pacific/Kiritimati", "2026-11-27", "00:00", "2026-11-26T10:00Z"),
        ("Europe/Berlin", "2026-03-29", "03:00", "2026-03-29T01:00Z"),  # after clocks were put forward
        ("Europe/Berlin", "2025-10-26", "02:30", "2025-10-26T00:30Z"),  # the first of two
        ("UTC", "2026-11-26", "16:35", "2026-11-26T16:35Z"),
    ],
)
def test_time_is_taken_and_shown_in_the_zone_of_the_exhibition(zone, day, time, moment, page):
    add_visit(page.client, make_fair(zone), day, time)

    visit = Visit.objects.get()

    form = page("customers_visit_change", visit.pk)
    assert visit.visited_at == datetime.fromisoformat(moment)
    assert (f'value="{day}"' in form, f'value="{time}:00"' in form) == (True, True)


@pytest.mark.parametrize(
    ("zone", "day", "time"), [("Europe/Berlin", "2026-03-29", "02:30"), (LAS_VEGAS, "2026-03-08", "02:00")]
)
def test_time_that_clocks_skip_is_refused_with_the_zone(zone, day, time, page):
    response = add_visit(page.client, make_fair(zone), day, time)

    assert response.context["adminform"].form.errors == {
        "visited_at": [f"There is no such time on this day in {zone}, because clocks are put forward."]
    }
    assert Visit.objects.count() == 0


def form_of(client: Any, visit: Visit) -> dict[str, Any]:
    """What a browser sends back unchanged."""
    form = client.get(reverse("admin:customers_visit_change", args=[visit.pk]), secure=True).context["adminform"].form
    values = {bound.html_name: bound.value() for bound in form}
    moment = values.pop("visited_at")
    day_and_time = {"visited_at_0": f"{moment:%Y-%m-%d}", "visited_at_1": f"{moment:%H:%M:%S}"}
    return {name: value for name, value in values.items() if value is not None} | day_and_time


def save(client: Any, visit: Visit, **changes: Any) -> None:
    form = form_of(client, visit) | changes
    assert client.post(reverse("admin:customers_visit_change", args=[visit.pk]), form, secure=True).status_code == 302
    visit.refresh_from_db()


def test_other_exhibition_takes_the_time_in_its_zone(page):
    visit = make_visit(exhibition=make_fair(), visited_at=datetime(2026, 11, 27, 5, 26, 13, tzinfo=UTC))

    save(page.client, visit, exhibition=make_fair("Asia/Tokyo", edition="2027").pk)

    assert visit.local_time == datetime(2026, 11, 26, 21, 26, 13, tzinfo=ZoneInfo("Asia/Tokyo"))


def test_unchanged_time_stays_as_it_was(page):
    """The second of two equal times, to the microsecond."""
    moment = datetime(2025, 10, 26, 1, 30, 7, 123456, tzinfo=UTC)
    visit = make_visit(exhibition=make_fair("Europe/Berlin"), visited_at=moment)

    save(page.client, visit, note="Wants a quote.")

    assert (visit.note, visit.visited_at) == ("Wants a quote.", moment)


def test_visit_without_a_time_is_of_now(page):
    before = datetime.now(UTC)

    add_visit(page.client, make_fair(), "", "")

    assert before <= Visit.objects.get().visited_at <= datetime.now(UTC)


def test_reader_sees_the_time_of_the_exhibition(member_of, client_of):
    visit = make_visit(exhibition=make_fair(), visited_at=datetime(2026, 11, 27, 5, 26, tzinfo=UTC))
    address = reverse("admin:customers_visit_change", args=[visit.pk])

    response = client_of(member_of("Read-only")).get(address, secure=True)

    assert f'Nov. 26, 2026, 9:26 PM <span class="quiet">{LAS_VEGAS}</span>' in str(response.content, "utf-8")


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        (LAS_VEGAS, "2026-11-27T07:59Z", "2026-11-26"),
        (LAS_VEGAS, "2026-11-27T08:00Z", "2026-11-27"),
        ("Asia/Kolkata", "2026-11-25T18:29Z", "2026-11-25"),
        ("Asia/Kolkata", "2026-11-25T18:30Z", "2026-11-26"),
        ("Pacific/Kiritimati", "2026-11-25T10:00Z", "2026-11-26"),
        ("Mars/North", "2026-11-26T23:59Z", "2026-11-26"),
    ],
)
def test_filter_of_a_day_finds_the_visits_that_show_it(zone, moment, day, page):
    make_visit(exhibition=make_fair(zone), visited_at=datetime.fromisoformat(moment))
    make_fair("Europe/Berlin", edition="2027")
    days = ("2026-11-25", "2026-11-26", "2026-11-27", "2026-11-28")

    found = [
        first
        for first, end in pairwise(days)
        for row in page.client.get(
            VISITS,
            {"visited_at__gte": f"{first} 00:00:00+01:00", "visited_at__lt": f"{end} 00:00:00+01:00"},
            secure=True,
        )
        .context["cl"]
        .result_list
    ]

    assert found == [day]


def test_nonsense_as_a_day_is_ignored(page):
    response = page.client.get(VISITS, {"visited_at__gte": "yesterday"}, secure=True)

    assert (response.status_code, response.url) == (302, f"{VISITS}?e=1")


def test_follow_up_is_due_in_the_zone_of_the_person(page, berliner):
    follow_up = make_follow_up(due_at=datetime(2026, 11, 26, 23, 30, tzinfo=UTC))

    form = page("customers_followup_change", follow_up.pk)

    assert ('value="2026-11-27"' in form, 'value="00:30:00"' in form) == (True, True)
    assert "Time (Europe/Berlin):" in form
    assert "Nov. 27, 2026, 12:30 AM" in page("customers_followup_changelist")


@pytest.mark.parametrize(
    ("language", "shown", "days", "times"),
    [
        ("en", "Nov. 9, 2026, 9:26 PM", ("11/9/2026", "11/09/26", "Nov 9, 2026"), ("21:26", "9:26 PM", "9:26pm")),
        ("en-GB,en;q=0.8", "9 Nov 2026, 21:26", ("9/11/2026", "09/11/26", "9 Nov 2026"), ("21:26:00", "9:26 pm")),
        ("de-AT,de;q=0.9", "9. November 2026 21:26", ("9.11.2026", "09.11.26"), ("21:26",)),
    ],
)
def test_dates_are_shown_and_understood_as_the_language_writes_them(language, shown, days, times, page):
    page.client.defaults["HTTP_ACCEPT_LANGUAGE"] = language
    exhibition = make_fair()

    for day, time in [*product(days, times), ("2026-11-09", "21:26")]:
        add_visit(page.client, exhibition, day, time)
        visit = Visit.objects.get()
        assert visit.visited_at == datetime(2026, 11, 10, 5, 26, tzinfo=UTC), (day, time)
        assert shown in page("customers_visit_changelist")
        visit.delete()

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.models import User

pytestmark = pytest.mark.django_db


def history_of(user: User, client) -> str:
    """The page with a change at 15:05 UTC."""
    LogEntry.objects.create(
        user=user,
        content_type=ContentType.objects.get_for_model(User),
        object_id=str(user.pk),
        action_flag=CHANGE,
        action_time=datetime(2026, 11, 26, 15, 5, tzinfo=UTC),
    )
    return str(client.get(reverse("admin:accounts_user_history", args=[user.pk]), secure=True).content, "utf-8")


@pytest.mark.parametrize(
    ("team", "own", "zone", "shown"),
    [
        ("UTC", "", "UTC", "Nov. 26, 2026, 3:05 PM"),
        ("Europe/Berlin", "", "Europe/Berlin", "Nov. 26, 2026, 4:05 PM"),
        ("UTC", "Asia/Kathmandu", "Asia/Kathmandu", "Nov. 26, 2026, 8:50 PM"),
        ("Europe/Berlin", "America/Los_Angeles", "America/Los_Angeles", "Nov. 26, 2026, 7:05 AM"),
        ("Europe/Berlin", "Mars/North", "Europe/Berlin", "Nov. 26, 2026, 4:05 PM"),
    ],
)
def test_times_are_in_the_zone_of_the_person_or_the_team(team, own, zone, shown, settings, alice, client_of):
    settings.TIME_ZONE = team
    User.objects.filter(pk=alice.pk).update(time_zone=own)

    page = history_of(alice, client_of(alice))

    assert (f"Times in {zone}" in page, shown in page) == (True, True)
    assert timezone.get_current_timezone() == ZoneInfo(team)


def test_person_without_rights_chooses_a_time_zone(charlie, client_of):
    charlie.is_staff = True
    charlie.save()
    client = client_of(charlie)

    client.post(reverse("admin:settings"), {"time_zone": "Asia/Tokyo"}, secure=True)

    charlie.refresh_from_db()
    assert charlie.time_zone == "Asia/Tokyo"
    assert "Times in Asia/Tokyo" in client.get(reverse("admin:index"), secure=True).content.decode()


def test_unknown_time_zone_is_refused_by_name(alice, client_of):
    response = client_of(alice).post(reverse("admin:settings"), {"time_zone": "localtime"}, secure=True)

    assert response.context["form"].errors == {"time_zone": ["“localtime” is not a time zone such as Europe/Berlin."]}


def test_time_zone_page_needs_a_login(client):
    assert client.get(reverse("admin:settings"), secure=True).url == "/admin/login/?next=/admin/settings/"


def test_administrator_chooses_the_time_zone_of_another(alice, bob, client_of):
    page = reverse("admin:accounts_user_change", args=[bob.pk])
    client = client_of(alice)
    form = client.get(page, secure=True).context["adminform"].form
    values = {name: value for name, value in form.initial.items() if isinstance(value, (str, int)) and value}

    client.post(page, values | {"time_zone": "Asia/Kolkata"}, secure=True)

    bob.refresh_from_db()
    assert bob.time_zone == "Asia/Kolkata"

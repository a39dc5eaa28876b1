"""Factories with fixed, readable values; keyword arguments override fields."""

from datetime import UTC, date, datetime
from typing import Any

from customers.models import Company, Customer, Exhibition, FollowUp, Visit


def make_exhibition(**changes: Any) -> Exhibition:
    values = {
        "name": "Harbour Fair",
        "edition": "2026",
        "time_zone": "Europe/Berlin",
        "starts_on": date(2026, 3, 10),
        "ends_on": date(2026, 3, 12),
    }
    return Exhibition.objects.create(**values | changes)


def make_company(**changes: Any) -> Company:
    return Company.objects.create(
        **{"name": "Nordlys Lighting", "domain": "nordlys.example", "country": "NO"} | changes
    )


def make_customer(**changes: Any) -> Customer:
    values = {"given_name": "Ingrid", "family_name": "Haugen", "email": "ingrid@nordlys.example"}
    return Customer.objects.create(**values | changes)


def make_visit(**changes: Any) -> Visit:
    values: dict[str, Any] = {"visited_at": datetime(2026, 3, 11, 9, 30, tzinfo=UTC), "grade": "A"} | changes
    values.setdefault("customer", None)
    return Visit.objects.create(
        **values
        | {
            "customer": values["customer"] or make_customer(),
            "exhibition": values.get("exhibition") or make_exhibition(),
        }
    )


def make_follow_up(**changes: Any) -> FollowUp:
    visit = changes.get("visit")
    customer = changes.pop("customer", None) or (visit.customer if visit else make_customer())
    return FollowUp.objects.create(customer=customer, **{"due_at": datetime(2026, 3, 12, 8, tzinfo=UTC)} | changes)

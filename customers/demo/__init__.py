"""Demo data: real exhibitions, fictitious companies and people with past visits and follow-ups."""

import csv
import unicodedata
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from core_apps.accounts.models import User
from core_apps.history.cause import Source, caused_by
from customers.models import Company, Customer, Exhibition, FollowUp, Tag, Visit

NOTES = ("Wants a quote for the new line.", "Asked for references.", "Took the catalogue.", "Compares us with others.")
GRADES = "BCABCDB"  # 7 grades: coprime to the number of days and notes
TAGS = ("VIP", "Newsletter", "Reseller")
INTERESTS: tuple[list[str], ...] = (["pilot order"], ["price list", "samples"], ["service contract"], [])


@caused_by(Source.COMMAND, "load_demo")
@transaction.atomic
def load_demo() -> bool:
    """Load the demo into an empty database; return False if it is not empty."""
    if any(model.objects.exists() for model in (Exhibition, Company, Customer)):
        return False
    Exhibition.objects.bulk_create(Exhibition(**row) for row in read_rows("exhibitions"))
    companies = {company.domain: company for company in Company.objects.bulk_create(demo_companies())}
    customers = [demo_customer(row, companies[row.pop("domain")]) for row in read_rows("people")]
    for customer in customers:
        customer.save()
    visits = Visit.objects.bulk_create(demo_visits(customers))
    FollowUp.objects.bulk_create(demo_follow_ups(visits))
    for number, name in enumerate(TAGS):
        Tag.objects.create(name=name).customers.set(customers[number::5])
    return True


def read_rows(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def demo_companies() -> Iterator[Company]:
    return (Company(website=f"https://{row['domain']}/", **row) for row in read_rows("companies"))


def demo_customer(row: dict[str, str], company: Company) -> Customer:
    name = f"{row['given_name']}.{row['family_name']}".lower().replace(" ", "-")
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return Customer(**row, email=f"{ascii_name}@{company.domain}", company=company, country=company.country)


def demo_visits(customers: list[Customer]) -> Iterator[Visit]:
    """Yield a visit of each customer to the latest exhibition and to an earlier one, in local opening hours."""
    past = list(Exhibition.objects.filter(ends_on__lt=timezone.localdate()).order_by("-ends_on"))
    user = User.objects.order_by("pk").first()
    for number, customer in enumerate(customers):
        for exhibition in (*past[:1], *past[1 + number % 5 :][:1]):
            yield demo_visit(number, customer, exhibition, user)


def demo_visit(number: int, customer: Customer, exhibition: Exhibition, captured_by: User | None) -> Visit:
    days = (exhibition.ends_on - exhibition.starts_on).days + 1
    day = exhibition.starts_on + timedelta(days=number % days)
    opening = datetime.combine(day, time(10), exhibition.zone)
    return Visit(
        customer=customer,
        exhibition=exhibition,
        visited_at=opening + timedelta(minutes=20 * number),
        stand="7.1 C042",
        grade=GRADES[number % len(GRADES)],
        interests=INTERESTS[number % 4],
        note=NOTES[number % 4],
        captured_by=captured_by,
    )


def demo_follow_ups(visits: list[Visit]) -> Iterator[FollowUp]:
    """Yield follow-ups of the better visits: most are completed within two days, some are overdue."""
    for number, visit in enumerate(visit for visit in visits if visit.grade in (Visit.Grade.A, Visit.Grade.B)):
        done_at = visit.visited_at + timedelta(hours=(6, 20, 40)[number % 3])
        is_done = number % 5 > 0 and done_at < timezone.now()
        yield FollowUp(
            customer=visit.customer,
            visit=visit,
            assignee=visit.captured_by if number % 2 else None,
            channel=FollowUp.Channel.values[number % 3],
            due_at=visit.visited_at + timedelta(days=1),
            note=visit.note,
            outcome=FollowUp.Outcome.values[number % 4] if is_done else "",
            completed_at=done_at if is_done else None,
        )

"""A small demo: real exhibitions, invented companies and people, visits on days that are over."""

import csv
import unicodedata
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from customers.models import Company, Customer, Exhibition, Visit

NOTES = ("Wants a quote for the new line.", "Asked for references.", "Took the catalogue.", "Compares us with others.")
INTERESTS: tuple[list[str], ...] = (["pilot order"], ["price list", "samples"], ["service contract"], [])


@transaction.atomic
def load_demo() -> bool:
    """Loads the demo into an empty database; returns whether it did."""
    if any(model.objects.exists() for model in (Exhibition, Company, Customer)):
        return False
    Exhibition.objects.bulk_create(Exhibition(**row) for row in read("exhibitions"))
    companies = {company.domain: company for company in Company.objects.bulk_create(demo_companies())}
    customers = [demo_customer(row, companies[row.pop("domain")]) for row in read("people")]
    for customer in customers:
        customer.save()
    Visit.objects.bulk_create(demo_visits(customers))
    return True


def read(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def demo_companies() -> Iterator[Company]:
    return (Company(website=f"https://{row['domain']}/", **row) for row in read("companies"))


def demo_customer(row: dict[str, str], company: Company) -> Customer:
    name = f"{row['given_name']}.{row['family_name']}".lower().replace(" ", "-")
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return Customer(**row, email=f"{ascii_name}@{company.domain}", company=company, country=company.country)


def demo_visits(customers: list[Customer]) -> Iterator[Visit]:
    """Two visits for each customer, at exhibitions that are over, in the opening hours of the place."""
    over = list(Exhibition.objects.filter(ends_on__lt=timezone.localdate()).order_by("starts_on"))
    for number, customer in enumerate(customers):
        for exhibition in {over[number % len(over)], over[(number * 5 + 3) % len(over)]} if over else ():
            yield demo_visit(number, customer, exhibition)


def demo_visit(number: int, customer: Customer, exhibition: Exhibition) -> Visit:
    opening = datetime.combine(exhibition.starts_on, time(10), ZoneInfo(exhibition.time_zone))
    return Visit(
        customer=customer,
        exhibition=exhibition,
        visited_at=opening + timedelta(minutes=20 * number),
        stand="7.1 C042",
        grade=Visit.Grade.values[number % 4],
        interests=INTERESTS[number % 4],
        note=NOTES[number % 4],
    )

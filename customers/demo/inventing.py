"""Invents rows of a realistic shape: few large companies and many small ones, names in many scripts."""

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

from django.utils.text import slugify

from customers.demo import INTERESTS, NOTES
from customers.models import Customer, Exhibition, Visit

WORDS = (
    *(
        "Alder",
        "Amber",
        "Basalt",
        "Cobalt",
        "Corvus",
        "Delta",
        "Ember",
        "Falken",
        "Fjord",
        "Granit",
        "Harbour",
        "Indigo",
    ),
    *(
        "Juniper",
        "Kestrel",
        "Lumen",
        "Meridian",
        "Nordlys",
        "Onyx",
        "Polar",
        "Quarz",
        "Rowan",
        "Sierra",
        "Tangram",
        "Umbra",
    ),
)
TRADES = {
    "Robotics": "Technology & Electronics",
    "Pumpen": "Manufacturing & Industrial",
    "Solar": "Energy & Environment",
    "Foods": "Food & Beverage",
    "Textiles": "Fashion & Textiles",
    "Packaging": "Packaging",
    "Medical": "Healthcare & Medical",
    "Logistics": "Logistics & Supply Chain",
    "Toys": "Consumer Goods",
}
FORMS = ("GmbH", "Ltd", "SARL", "S.p.A.", "Inc.", "& Partners", "Group", "AG")
TITLES = ("Head of purchasing", "Managing director", "Engineer", "Sales manager", "Buyer", "Founder", "", "Assistant")
# How often each comes, in the order of the model's choices.
STAGES, GRADES = (55, 25, 15, 5), (10, 30, 35, 15)
# Of 100 customers, so many have been at the stand 0, 1, 2… times; 2 visits each on the average.
VISITS = (12, 30, 28, 16, 8, 6)
PER_COMPANY = 7.7  # customers, on the average
NO_COMPANY = 0.05  # of all customers
MISSING = 0.15  # of all e-mail addresses and of all numbers; nobody lacks both
YEARS = 3

# As COPY has it. Nothing that is invented here holds a character that COPY's text format gives a meaning to.
NULL = "\\N"
Values = Sequence[Any]


@dataclass(frozen=True)
class Nation:
    country: str
    dialling: str
    given_names: tuple[str, ...]
    family_names: tuple[str, ...]


def nations() -> list[Nation]:
    with Path(__file__).with_name("names.csv").open(encoding="utf-8", newline="") as file:
        return [
            Nation(
                row["country"], row["dialling"], tuple(row["given_names"].split()), tuple(row["family_names"].split())
            )
            for row in csv.DictReader(file)
        ]


class Invention:
    """Rows as COPY takes them, from these primary keys on; the same for the same numbers and the same day."""

    COMPANY = ("id", "name", "domain", "country", "industry", "website", "created_at", "updated_at")
    CUSTOMER = (
        *("id", "given_name", "family_name", "email", "phone", "phone_e164", "job_title", "company_id", "country"),
        *("stage", "source", "notes", "photo", "created_at", "updated_at"),
    )
    VISIT = (
        "customer_id",
        "exhibition_id",
        "visited_at",
        "stand",
        "grade",
        "interests",
        "note",
        "created_at",
        "updated_at",
    )

    def __init__(self, customers: int, first_company: int, first_customer: int, now: datetime) -> None:
        # The same each time, and no secret.
        self.random = Random(customers)  # noqa: S311
        self.now, self.nations = now, nations()
        self.customers, self.companies = customers, max(1, round(customers / PER_COMPANY))
        self.first_company, self.first_customer = first_company, first_customer

    def company_rows(self) -> Iterator[Values]:
        trades = list(TRADES.items())
        for number in range(self.companies):
            key = self.first_company + number
            trade, industry = trades[number % len(trades)]
            word, form = WORDS[number // len(trades) % len(WORDS)], FORMS[number % len(FORMS)]
            domain = f"{word}-{trade}-{key}.example".lower()
            moment = self.moment()
            yield (
                *(key, f"{word} {trade} {key} {form}", domain, self.nation_of(number).country, industry),
                *(f"https://{domain}/", moment, moment),
            )

    def nation_of(self, company: int) -> Nation:
        return self.nations[company * 7 % len(self.nations)]

    def customer_rows(self) -> Iterator[Values]:
        stages = self.endless(Customer.Stage.values, STAGES)
        for number in range(self.customers):
            yield self.customer(self.first_customer + number, next(stages))

    def customer(self, key: int, stage: str) -> Values:
        draw = self.random.random
        # The third power: a tenth of the companies have almost half of the customers.
        company = int(self.companies * draw() ** 3)
        nation = self.nation_of(company)
        given = nation.given_names[int(draw() * len(nation.given_names))]
        family = nation.family_names[int(draw() * len(nation.family_names))]
        lacks = draw()
        email = "" if lacks < MISSING else f"{latin(given)}.{latin(family)}{key}@example.com".strip(".")
        number = "" if lacks > 1 - MISSING else f"{int(draw() * 9 * 10**8) + 10**8}"
        moment = self.moment()
        return (
            *(key, given, family, email, number and f"+{nation.dialling} {number[:3]} {number[3:]}"),
            *(number and f"+{nation.dialling}{number}", TITLES[key % len(TITLES)]),
            *(NULL if draw() < NO_COMPANY else self.first_company + company, nation.country, stage),
            *("stand", NOTES[key % len(NOTES)] if draw() < 0.2 else "", "", moment, moment),
        )

    def visit_rows(self, exhibitions: Sequence[Exhibition]) -> Iterator[Values]:
        counts, grades = self.endless(range(len(VISITS)), VISITS), self.endless(Visit.Grade.values, GRADES)
        over = [(one.pk, *opening(one)) for one in exhibitions]
        for customer in range(self.first_customer, self.first_customer + self.customers):
            first = int(len(over) * self.random.random())
            for number in range(min(next(counts), len(over))):
                # A customer is at one exhibition once; some exhibitions are met more often than others.
                yield self.visit(
                    customer, *over[(first + number * number * 3 + number) % len(over)], next(grades), number
                )

    def visit(self, customer: int, exhibition: int, opens: datetime, days: int, grade: str, number: int) -> Values:
        hours = int(days * self.random.random()) * 24 + self.random.random() * 8
        moment = (opens + timedelta(hours=hours, microseconds=number)).isoformat()
        interests = "{" + ",".join(f'"{word}"' for word in INTERESTS[customer % len(INTERESTS)]) + "}"
        note = NOTES[customer % len(NOTES)] if self.random.random() < 0.3 else ""
        return customer, exhibition, moment, "7.1 C042", grade, interests, note, moment, moment

    def moment(self) -> str:
        return (self.now - timedelta(days=365 * YEARS * self.random.random())).isoformat()

    def endless(self, values: Sequence[Any], weights: Sequence[int]) -> Iterator[Any]:
        cumulated = list(accumulate(weights))
        while True:
            yield from self.random.choices(values, cum_weights=cumulated, k=1000)


def opening(exhibition: Exhibition) -> tuple[datetime, int]:
    """Nine in the morning of the first day, UTC, and the number of days."""
    day = datetime.combine(exhibition.starts_on, datetime.min.time(), UTC)
    return day + timedelta(hours=9), (exhibition.ends_on - exhibition.starts_on).days + 1


LATIN: dict[str, str] = {}


def latin(name: str) -> str:
    """What of it an e-mail address takes; nothing of most scripts."""
    if name not in LATIN:
        LATIN[name] = slugify(unicodedata.normalize("NFKD", name))
    return LATIN[name]

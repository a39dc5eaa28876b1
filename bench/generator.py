"""Generates realistic rows: few large and many small companies, and names in many scripts."""

import csv
import unicodedata
from collections.abc import Callable, Iterator, Sequence
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
NAMES_OF_TRADES = tuple(TRADES)
FORMS = ("GmbH", "Ltd", "SARL", "S.p.A.", "Inc.", "& Partners", "Group", "AG")
TITLES = ("Head of purchasing", "Managing director", "Engineer", "Sales manager", "Buyer", "Founder", "", "Assistant")
# Weights, in the order of the model's choices.
STAGES, SOURCES, GRADES = (55, 25, 15, 5), (80, 10, 5, 4, 1), (10, 30, 35, 15)
# Percentages of customers with 0, 1, 2… visits; 2 on average.
VISITS = (12, 30, 28, 16, 8, 6)
PER_COMPANY = 7.7  # customers on average
NO_COMPANY = 0.05  # of all customers
MISSING = 0.15  # of all e-mail addresses and of all phone numbers; every customer has one of them
ARCHIVED = 0.3  # of inactive customers
UNASSIGNED = 0.2  # of all customers and visits
YEARS = 3

# As in COPY's text format; generated values contain none of its special characters.
NULL = "\\N"
Values = Sequence[Any]
First = tuple[int, int]  # primary keys of a company and of a customer
Fold = Callable[[list[str]], dict[str, str]]


@dataclass(frozen=True)
class Nation:
    country: str
    dialling: str
    given_names: tuple[str, ...]
    family_names: tuple[str, ...]


def read_nations() -> list[Nation]:
    with Path(__file__).with_name("names.csv").open(encoding="utf-8", newline="") as file:
        return [
            Nation(
                row["country"], row["dialling"], tuple(row["given_names"].split()), tuple(row["family_names"].split())
            )
            for row in csv.DictReader(file)
        ]


class Generator:
    """Generates rows for COPY, starting at these primary keys; they are the same for the same arguments."""

    COMPANY = ("id", "name", "domain", "country", "industry", "website", "search_text", "created_at", "updated_at")
    CUSTOMER = (
        *("id", "given_name", "family_name", "email", "phone", "phone_e164", "job_title", "company_id", "country"),
        *("stage", "source", "owner_id", "notes", "photo", "archived_at", "search_text", "created_at", "updated_at"),
    )
    VISIT = (
        *("customer_id", "exhibition_id", "visited_at", "stand", "grade", "interests", "note", "captured_by_id"),
        *("created_at", "updated_at"),
    )

    def __init__(self, customers: int, first: First, now: datetime, team: Sequence[int], fold: Fold) -> None:
        # Reproducible; not used for secrets.
        self.random = Random(customers)
        self.now, self.nations, self.team = now, read_nations(), team
        self.customers, self.companies = customers, max(1, round(customers / PER_COMPANY))
        self.first_company, self.first_customer = first
        # One query for all names, of which there are few.
        self.fold_words = fold([*{name for one in self.nations for name in (*one.given_names, *one.family_names)}])

    def company_rows(self) -> Iterator[Values]:
        industries = list(TRADES.values())
        for number in range(self.companies):
            name = self.company_name(number)
            domain = "-".join(name.split()[:3]).lower() + ".example"
            moment, industry = self.moment(), industries[number % len(industries)]
            yield (
                *(self.first_company + number, name, domain, self.get_nation(number).country, industry),
                *(f"https://{domain}/", f" {name} {domain}".upper(), moment, moment),
            )

    def company_name(self, number: int) -> str:
        word, form = WORDS[number // len(TRADES) % len(WORDS)], FORMS[number % len(FORMS)]
        return f"{word} {NAMES_OF_TRADES[number % len(TRADES)]} {self.first_company + number} {form}"

    def get_nation(self, company: int) -> Nation:
        return self.nations[company * 7 % len(self.nations)]

    def customer_rows(self) -> Iterator[Values]:
        stages = self.draw_endlessly(Customer.Stage.values, STAGES)
        sources = self.draw_endlessly(Customer.Source.values, SOURCES)
        for number in range(self.customers):
            yield self.customer(self.first_customer + number, next(stages), next(sources))

    def customer(self, key: int, stage: str, source: str) -> Values:
        draw = self.random.random
        # Cubed, so that a tenth of the companies have almost half of the customers.
        company = int(self.companies * draw() ** 3)
        nation = self.get_nation(company)
        given = nation.given_names[int(draw() * len(nation.given_names))]
        family = nation.family_names[int(draw() * len(nation.family_names))]
        lacks = draw()
        email = "" if lacks < MISSING else f"{transliterate(given)}.{transliterate(family)}{key}@example.com".strip(".")
        number = "" if lacks > 1 - MISSING else f"{int(draw() * 9 * 10**8) + 10**8}"
        digits, is_employed, moment = number and nation.dialling + number, draw() >= NO_COMPANY, self.moment()
        words = ["", self.fold_words[given], self.fold_words[family], email.upper(), digits]
        if is_employed:
            words.append(self.company_name(company).upper())
        return (
            *(key, given, family, email, number and f"+{nation.dialling} {number[:3]} {number[3:]}"),
            *(number and f"+{digits}", TITLES[key % len(TITLES)]),
            *(self.first_company + company if is_employed else NULL, nation.country, stage, source),
            *(self.colleague(), NOTES[key % len(NOTES)] if draw() < 0.2 else "", ""),
            *(moment if stage == "inactive" and draw() < ARCHIVED else NULL, " ".join(words), moment, moment),
        )

    def colleague(self) -> int | str:
        """Return the key of a member of the team, or NULL."""
        place = int(self.random.random() * len(self.team) / (1 - UNASSIGNED))
        return self.team[place] if place < len(self.team) else NULL

    def visit_rows(self, exhibitions: Sequence[Exhibition]) -> Iterator[Values]:
        counts, grades = (
            self.draw_endlessly(range(len(VISITS)), VISITS),
            self.draw_endlessly(Visit.Grade.values, GRADES),
        )
        over = [(one.pk, *get_opening(one)) for one in exhibitions]
        for customer in range(self.first_customer, self.first_customer + self.customers):
            first = int(len(over) * self.random.random())
            for number in range(min(next(counts), len(over))):
                # At most one visit per exhibition; some exhibitions have more visits than others.
                yield self.visit(
                    customer, *over[(first + number * number * 3 + number) % len(over)], next(grades), number
                )

    def visit(self, customer: int, exhibition: int, opens: datetime, days: int, grade: str, number: int) -> Values:
        hours = int(days * self.random.random()) * 24 + self.random.random() * 8
        moment = (opens + timedelta(hours=hours, microseconds=number)).isoformat()
        interests = "{" + ",".join(f'"{word}"' for word in INTERESTS[customer % len(INTERESTS)]) + "}"
        note = NOTES[customer % len(NOTES)] if self.random.random() < 0.3 else ""
        return customer, exhibition, moment, "7.1 C042", grade, interests, note, self.colleague(), moment, moment

    def moment(self) -> str:
        return (self.now - timedelta(days=365 * YEARS * self.random.random())).isoformat()

    def draw_endlessly(self, values: Sequence[Any], weights: Sequence[int]) -> Iterator[Any]:
        cumulated = list(accumulate(weights))
        while True:
            yield from self.random.choices(values, cum_weights=cumulated, k=1000)


def get_opening(exhibition: Exhibition) -> tuple[datetime, int]:
    """Return 9:00 UTC of the first day, and the number of days."""
    day = datetime.combine(exhibition.starts_on, datetime.min.time(), UTC)
    return day + timedelta(hours=9), (exhibition.ends_on - exhibition.starts_on).days + 1


LATIN: dict[str, str] = {}


def transliterate(name: str) -> str:
    """Return the name's letters for an e-mail address; blank for most scripts."""
    if name not in LATIN:
        LATIN[name] = slugify(unicodedata.normalize("NFKD", name))
    return LATIN[name]

"""What the first screen tells: of one exhibition, what is overdue, who came last. Its queries are few and fixed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, F, Func, IntegerField, OuterRef, Subquery
from django.db.models.functions import TruncDate

from core_apps.accounts.models import User
from customers.models import Customer, Exhibition, FollowUp, Visit
from customers.querysets import EVERY

GRADES = (*Visit.Grade.values, "")  # the last one: not graded
LISTED = 10  # exhibitions to choose from, follow-ups, customers, people
# Whole days until the first contact, rounded up; later and never are one.
LATER = 3


@dataclass
class Tally:
    """Visits of a day, a grade or a person, and how soon somebody got in touch."""

    visits: int = 0
    within_24_h: int = 0
    within_48_h: int = 0
    grades: Counter[str] = field(default_factory=Counter)

    def add(self, row: dict[str, Any]) -> None:
        self.visits += row["visits"]
        self.grades[row["grade"]] += row["visits"]
        self.within_24_h += row["visits"] * (row["days"] <= 1)
        self.within_48_h += row["visits"] * (row["days"] <= 2)

    @property
    def percent_24_h(self) -> int:
        return percent(self.within_24_h, self.visits)

    @property
    def percent_48_h(self) -> int:
        return percent(self.within_48_h, self.visits)


@dataclass
class Bar:
    """A part of a chart's line, in percent of the longest line; as text, for a comma would be no SVG."""

    grade: str
    start: str
    width: str


@dataclass
class Line:
    """A tally with its name, and its bars side by side."""

    label: Any
    tally: Tally
    bars: list[Bar]

    @property
    def counts(self) -> list[int]:
        return [self.tally.grades[grade] for grade in GRADES]


@dataclass
class Dashboard:
    GRADES: ClassVar = GRADES

    exhibitions: Sequence[Exhibition] = ()
    exhibition: Exhibition | None = None
    all: Tally = field(default_factory=Tally)
    days: Sequence[Line] = ()
    grades: Sequence[Line] = ()
    people: Sequence[Line] = ()
    overdue: Sequence[FollowUp] = ()
    newest: Sequence[Customer] = ()
    met_last: Sequence[Customer] = ()


def dashboard_for(user: User | AnonymousUser, now: datetime, wanted: str = "") -> Dashboard:
    """Of what the person may see; `wanted` is the number of one of the exhibitions to choose from."""
    dashboard = Dashboard()
    if user.has_perm("customers.view_visit"):
        add_exhibition(dashboard, user, now, wanted)
    if user.has_perm("customers.view_followup"):
        overdue = FollowUp.objects.visible_to(user).overdue_at(now).order_by("due_at", "pk")
        dashboard.overdue = list(overdue.select_related("customer__company", "assignee")[:LISTED])
    if user.has_perm("customers.view_customer"):
        add_customers(dashboard, user)
    return dashboard


def add_exhibition(dashboard: Dashboard, user: User | AnonymousUser, now: datetime, wanted: str) -> None:
    dashboard.exhibitions = list(Exhibition.objects.visible_to(user).opened_by(now)[:LISTED])
    dashboard.exhibition = chosen(dashboard.exhibitions, now, wanted)
    if not dashboard.exhibition:
        return
    rows = list(tallied(Visit.objects.visible_to(user).met_at(dashboard.exhibition), dashboard.exhibition))
    for row in rows:
        dashboard.all.add(row)
    dashboard.days = lines(sorted(rows, key=lambda row: row["day"]), "day")
    dashboard.grades = lines(sorted(rows, key=lambda row: GRADES.index(row["grade"])), "grade")
    people = lines(rows, "email", "person")
    dashboard.people = sorted(people, key=lambda line: -line.tally.visits)[:LISTED]


def add_customers(dashboard: Dashboard, user: User | AnonymousUser) -> None:
    """The newest of all or, for a stand's staff, whom they met last: theirs have no order that an index knows."""
    if user.has_perm(EVERY):
        newest = Customer.objects.visible_to(user).current().select_related("company")
        dashboard.newest = list(newest[:LISTED])
    elif dashboard.exhibition:
        visits = Visit.objects.visible_to(user).met_at(dashboard.exhibition).filter(customer__archived_at=None)
        last = visits.select_related("customer__company").order_by("-visited_at", "-pk")[: LISTED * 2]
        dashboard.met_last = list({visit.customer_id: visit.customer for visit in last}.values())[:LISTED]


def chosen(exhibitions: Sequence[Exhibition], now: datetime, wanted: str) -> Exhibition | None:
    """The wanted one, else one that is open, else the one that opened last."""
    by_key = {str(exhibition.pk): exhibition for exhibition in exhibitions}
    still_open = (one for one in exhibitions if one.day_at(now) <= one.ends_on)
    return by_key.get(wanted) or next(still_open, None) or next(iter(exhibitions), None)


def tallied(visits: Any, exhibition: Exhibition) -> Iterable[dict[str, Any]]:
    """Visits counted by day at the place, grade, person and days until the first contact, in one pass."""
    contacts = FollowUp.objects.filter(visit=OuterRef("pk"), completed_at__gte=OuterRef("visited_at"))
    first_contact = Subquery(contacts.order_by("completed_at").values("completed_at")[:1])
    # SQL's LEAST leaves NULL out: who was never contacted is among the late.
    days = Func(
        first_contact - F("visited_at"),
        template=f"LEAST(CEIL(EXTRACT(EPOCH FROM %(expressions)s) / 86400), {LATER})::int",
        output_field=IntegerField(),
    )
    day = TruncDate("visited_at", tzinfo=ZoneInfo(exhibition.time_zone))
    grouped = visits.values("grade", day=day, days=days, name=F("captured_by__name"), email=F("captured_by__email"))
    for row in grouped.annotate(visits=Count("pk")).order_by():
        yield row | {"person": row["name"] or row["email"] or ""}


def lines(rows: Sequence[dict[str, Any]], key: str, label: str = "") -> list[Line]:
    """One for each value of the key, in the order in which they come."""
    tallies: dict[Any, Tally] = defaultdict(Tally)
    for row in rows:
        tallies[row[key]].add(row)
    labels = {row[key]: row[label or key] for row in rows}
    longest = max((tally.visits for tally in tallies.values()), default=0)
    return [Line(labels[value], tally, list(bars(tally, longest))) for value, tally in tallies.items()]


def bars(tally: Tally, longest: int) -> Iterable[Bar]:
    start = 0
    for grade in GRADES:
        count = tally.grades[grade]
        if count:
            yield Bar(grade or "none", f"{100 * start / longest:.2f}%", f"{100 * count / longest:.2f}%")
        start += count


def percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0

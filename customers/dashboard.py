"""The dashboard: an exhibition's visits, overdue follow-ups and newest customers, by a fixed number of queries."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, F, Func, IntegerField, OuterRef, Subquery
from django.db.models.functions import TruncDate
from django.utils import timezone

from core_apps.accounts.models import User
from customers.models import Customer, Exhibition, FollowUp, Visit
from customers.querysets import VIEW_EVERY_CUSTOMER

GRADES = (*Visit.Grade.values, "")  # the last one: not graded
MAX_ITEMS = 10  # exhibitions to choose from, follow-ups, customers, people
# Days until the first contact, rounded up; this value also means never.
LATER = 3


@dataclass
class Tally:
    """The visits of a day, a grade or a person, and how many were contacted in time."""

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
class Segment:
    """A part of a chart's bar, in percent of the longest bar; as text, since SVG allows no decimal comma."""

    grade: str
    start: str
    width: str


@dataclass
class Line:
    """A line of a chart."""

    label: Any
    tally: Tally
    segments: list[Segment]

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
    newest: Sequence[tuple[Customer, date]] = ()  # with the day
    met_last: Sequence[tuple[Customer, date]] = ()


def build_dashboard(user: User | AnonymousUser, now: datetime, selected: str = "") -> Dashboard:
    """Return what the user may see; `selected` is the primary key of the chosen exhibition."""
    dashboard = Dashboard()
    if user.has_perm("customers.view_visit"):
        add_exhibition(dashboard, user, now, selected)
    if user.has_perm("customers.view_followup"):
        overdue = FollowUp.objects.visible_to(user).overdue_at(now).order_by("due_at", "pk")
        dashboard.overdue = list(overdue.select_related("customer__company", "assignee")[:MAX_ITEMS])
    if user.has_perm("customers.view_customer"):
        add_customers(dashboard, user)
    return dashboard


def add_exhibition(dashboard: Dashboard, user: User | AnonymousUser, now: datetime, selected: str) -> None:
    dashboard.exhibitions = list(Exhibition.objects.visible_to(user).started_before(now)[:MAX_ITEMS])
    dashboard.exhibition = choose_exhibition(dashboard.exhibitions, now, selected)
    if not dashboard.exhibition:
        return
    rows = list(count_visits(Visit.objects.visible_to(user).met_at(dashboard.exhibition), dashboard.exhibition))
    for row in rows:
        dashboard.all.add(row)
    dashboard.days = build_lines(sorted(rows, key=lambda row: row["day"]), "day")
    dashboard.grades = build_lines(sorted(rows, key=lambda row: GRADES.index(row["grade"])), "grade")
    people = build_lines(rows, "email", "person")
    dashboard.people = sorted(people, key=lambda line: -line.tally.visits)[:MAX_ITEMS]


def add_customers(dashboard: Dashboard, user: User | AnonymousUser) -> None:
    """Add the newest customers or, for stand staff, those met last: no index sorts their customers by age."""
    if user.has_perm(VIEW_EVERY_CUSTOMER):
        newest = Customer.objects.visible_to(user).current().select_related("company")
        dashboard.newest = [(customer, timezone.localdate(customer.created_at)) for customer in newest[:MAX_ITEMS]]
    elif dashboard.exhibition:
        visits = Visit.objects.visible_to(user).met_at(dashboard.exhibition).filter(customer__archived_at=None)
        last = visits.select_related("customer__company").order_by("-visited_at", "-pk")[: MAX_ITEMS * 2]
        days: dict[Customer, date] = {}
        for visit in last:
            days.setdefault(visit.customer, dashboard.exhibition.local_date(visit.visited_at))
        dashboard.met_last = list(days.items())[:MAX_ITEMS]


def choose_exhibition(exhibitions: Sequence[Exhibition], now: datetime, selected: str) -> Exhibition | None:
    """Return the selected exhibition, otherwise an open one, otherwise the latest."""
    by_key = {str(exhibition.pk): exhibition for exhibition in exhibitions}
    still_open = (one for one in exhibitions if one.local_date(now) <= one.ends_on)
    return by_key.get(selected) or next(still_open, None) or next(iter(exhibitions), None)


def count_visits(visits: Any, exhibition: Exhibition) -> Iterable[dict[str, Any]]:
    """Count the visits by local day, grade, person and days until the first contact, in one query."""
    contacts = FollowUp.objects.filter(customer=OuterRef("customer"), completed_at__gte=OuterRef("visited_at"))
    first_contact = Subquery(contacts.order_by("completed_at").values("completed_at")[:1])
    # SQL's LEAST ignores NULL: never contacted counts as late.
    days = Func(
        first_contact - F("visited_at"),
        template=f"LEAST(CEIL(EXTRACT(EPOCH FROM %(expressions)s) / 86400), {LATER})::int",
        output_field=IntegerField(),
    )
    day = TruncDate("visited_at", tzinfo=exhibition.zone)
    grouped = visits.values("grade", day=day, days=days, name=F("captured_by__name"), email=F("captured_by__email"))
    for row in grouped.annotate(visits=Count("pk")).order_by():
        yield row | {"person": row["name"] or row["email"] or ""}


def build_lines(rows: Sequence[dict[str, Any]], key: str, label: str = "") -> list[Line]:
    """Return a line for each value of the key, in the order of the rows."""
    tallies: dict[Any, Tally] = defaultdict(Tally)
    for row in rows:
        tallies[row[key]].add(row)
    labels = {row[key]: row[label or key] for row in rows}
    longest = max((tally.visits for tally in tallies.values()), default=0)
    return [Line(labels[value], tally, list(build_segments(tally, longest))) for value, tally in tallies.items()]


def build_segments(tally: Tally, longest: int) -> Iterable[Segment]:
    start = 0
    for grade in GRADES:
        count = tally.grades[grade]
        if count:
            yield Segment(grade or "none", f"{100 * start / longest:.2f}%", f"{100 * count / longest:.2f}%")
        start += count


def percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0

"""The columns of each export: texts composed by the database. The last one is a time, which XLSX has as a date."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.contrib.postgres.aggregates import StringAgg
from django.db.models import Case, CharField, Exists, F, Func, Model, OuterRef, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Concat, Left, NullIf, Trim

from core_apps.common.time_zones import get_zone
from customers.models import Customer, FollowUp, Tag, Visit
from customers.querysets import is_contacted

Row: TypeAlias = tuple[str, ...]

MAX_CELL = 32_767  # characters, https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
TAG_SEPARATOR = "\x1f"  # "unit separator": cannot be typed into a tag


def show(column: str) -> Coalesce:
    """Return a column of a related row, blank if there is none."""
    return Coalesce(column, Value(""))


def show_user(column: str) -> Coalesce:
    name, email = f"{column}__name", f"{column}__email"
    return Coalesce(NullIf(name, Value("")), email, Value(""), output_field=CharField())


def show_time(column: str) -> Coalesce:
    utc = Func(F(column), function="timezone", template="%(function)s('UTC', %(expressions)s)")
    return Coalesce(Left(Cast(utc, TextField()), len("2026-11-22 09:30:15")), Value(""))


def show_list(column: str) -> Coalesce:
    joined = Func(F(column), Value(TAG_SEPARATOR), function="array_to_string", output_field=TextField())
    return Coalesce(Left(joined, MAX_CELL), Value(""))


def show_exhibition(column: str) -> Trim:
    return Trim(Concat(f"{column}__name", Value(" "), f"{column}__edition"))


TAGS = (
    Tag.objects.filter(customers=OuterRef("pk"))
    .order_by()
    .values("customers")
    .annotate(names=Left(StringAgg("name", TAG_SEPARATOR, order_by="name"), MAX_CELL))
    .values("names")
)
PUBLIC_ID = Cast("public_id", TextField())
OPEN = Exists(FollowUp.objects.order_by().filter(customer=OuterRef("customer"), completed_at=None))
PRIORITIES = [When(priority=one, then=Value(one.name.lower())) for one in FollowUp.Priority]

# Headings and values are not translated: `import_customers` and other programs read them.
CUSTOMERS: dict[str, Any] = {
    "public id": PUBLIC_ID,
    "given name": "given_name",
    "family name": "family_name",
    "e-mail": "email",
    "phone": "phone",
    "phone (E.164)": "phone_e164",
    "job title": "job_title",
    "company": show("company__name"),
    "domain": show("company__domain"),
    "country": "country",
    "stage": "stage",
    "source": "source",
    "owner": show_user("owner"),
    "tags": Coalesce(Subquery(TAGS), Value(""), output_field=TextField()),
    "created (UTC)": show_time("created_at"),
}
PERSON: dict[str, Any] = {
    "given name": "customer__given_name",
    "family name": "customer__family_name",
    "company": show("customer__company__name"),
    "e-mail": "customer__email",
    "phone": "customer__phone",
}
VISITS: dict[str, Any] = {
    "public id": PUBLIC_ID,
    **PERSON,
    "exhibition": show_exhibition("exhibition"),
    "stand": "stand",
    "grade": "grade",
    "interests": show_list("interests"),
    "note": "note",
    "captured by": show_user("captured_by"),
    "owner": show_user("customer__owner"),
    "follow-up": Case(When(is_contacted(), then=Value("contacted")), When(OPEN, then=Value("open")), default=Value("")),
    "time zone": "exhibition__time_zone",
    "visited at": "visited_at",
}
FOLLOW_UPS: dict[str, Any] = {
    "public id": PUBLIC_ID,
    **PERSON,
    "exhibition": show_exhibition("visit__exhibition"),
    "grade": show("visit__grade"),
    "interests": show_list("visit__interests"),
    "channel": "channel",
    "priority": Case(*PRIORITIES, default=Value("")),
    "note": "note",
    "assignee": show_user("assignee"),
    "state": Case(When(completed_at=None, then=Value("open")), default=Value("completed")),
    "outcome": "outcome",
    "completed (UTC)": show_time("completed_at"),
    "due (UTC)": show_time("due_at"),
}


def return_unchanged(row: tuple[Any, ...]) -> Row:
    return row


def convert_time(row: tuple[Any, ...]) -> Row:
    """Show a visit in the time zone of its exhibition; not in SQL, because PostgreSQL may lack a stored one."""
    *cells, name, moment = row
    zone = get_zone(name)
    return (*cells, str(zone), moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"))


@dataclass(frozen=True)
class Table:
    name: str  # of the file
    columns: dict[str, Any]
    convert: Callable[[tuple[Any, ...]], Row] = return_unchanged

    @property
    def headings(self) -> Row:
        return tuple(self.columns)


TABLES: dict[type[Model], Table] = {
    Customer: Table("customers", CUSTOMERS),
    Visit: Table("visits", VISITS, convert_time),
    FollowUp: Table("follow-ups", FOLLOW_UPS),
}
HEADINGS = TABLES[Customer].headings

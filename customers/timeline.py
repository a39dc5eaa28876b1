"""What happened to one customer: visits, follow-ups, and who changed what; the newest of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import chain

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from core_apps.accounts.models import User
from customers.models import Customer, FollowUp, Visit

NEWEST = 20  # entries


@dataclass(frozen=True, order=True)
class Entry:
    moment: datetime
    kind: str  # visit, follow-up, change
    pk: int
    text: str
    note: str
    by: str


def timeline(customer: Customer, user: User) -> list[Entry]:
    """The newest entries that the person may see, the newest first; three queries for any customer."""
    return nlargest(NEWEST, chain(visits(customer, user), follow_ups(customer, user), changes(customer)))


def visits(customer: Customer, user: User) -> Iterator[Entry]:
    found = Visit.objects.visible_to(user).filter(customer=customer).select_related("exhibition", "captured_by")
    for visit in found[:NEWEST]:
        text = f"{visit.exhibition}, {visit.get_grade_display()}" if visit.grade else str(visit.exhibition)
        yield Entry(visit.visited_at, "visit", visit.pk, text, short(visit.note), str(visit.captured_by or ""))


def follow_ups(customer: Customer, user: User) -> Iterator[Entry]:
    """Each at the moment when it was done, or is due."""
    found = FollowUp.objects.visible_to(user).filter(customer=customer).select_related("assignee")
    for one in found.order_by("-due_at", "-pk")[:NEWEST]:
        state = (one.get_outcome_display() or _("done")) if one.completed_at else _("to be done")
        text = f"{one.get_channel_display()}: {state}"
        yield Entry(one.completed_at or one.due_at, "follow-up", one.pk, text, short(one.note), str(one.assignee or ""))


def changes(customer: Customer) -> Iterator[Entry]:
    kind = ContentType.objects.get_for_model(Customer)
    found = LogEntry.objects.filter(content_type=kind, object_id=str(customer.pk)).select_related("user")
    for change in found.order_by("-action_time")[:NEWEST]:
        text = _("Added.") if change.is_addition() else change.get_change_message() or _("Changed.")
        yield Entry(change.action_time, "change", change.pk, text, "", str(change.user))


def short(text: str) -> str:
    return Truncator(text).chars(200)

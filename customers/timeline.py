"""The timeline of a customer: visits, follow-ups and changes."""

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

MAX_EVENTS = 20


@dataclass(frozen=True, order=True)
class Event:
    moment: datetime
    kind: str  # visit, follow-up, change
    pk: int
    text: str
    note: str
    by: str


def build_timeline(customer: Customer, user: User) -> list[Event]:
    """Return the newest events that the user may see, the newest first, by three queries."""
    return nlargest(
        MAX_EVENTS, chain(visit_events(customer, user), follow_up_events(customer, user), change_events(customer))
    )


def visit_events(customer: Customer, user: User) -> Iterator[Event]:
    rows = Visit.objects.visible_to(user).filter(customer=customer).select_related("exhibition", "captured_by")
    for visit in rows[:MAX_EVENTS]:
        text = f"{visit.exhibition}, {visit.get_grade_display()}" if visit.grade else str(visit.exhibition)
        yield Event(visit.visited_at, "visit", visit.pk, text, shorten(visit.note), str(visit.captured_by or ""))


def follow_up_events(customer: Customer, user: User) -> Iterator[Event]:
    """Yield each follow-up at the time it was completed or is due."""
    rows = FollowUp.objects.visible_to(user).filter(customer=customer).select_related("assignee")
    for follow_up in rows.order_by("-due_at", "-pk")[:MAX_EVENTS]:
        state = (follow_up.get_outcome_display() or _("done")) if follow_up.completed_at else _("to do")
        text, note = f"{follow_up.get_channel_display()}: {state}", shorten(follow_up.note)
        moment, by = follow_up.completed_at or follow_up.due_at, str(follow_up.assignee or "")
        yield Event(moment, "follow-up", follow_up.pk, text, note, by)


def change_events(customer: Customer) -> Iterator[Event]:
    kind = ContentType.objects.get_for_model(Customer)
    rows = LogEntry.objects.filter(content_type=kind, object_id=str(customer.pk)).select_related("user")
    for change in rows.order_by("-action_time")[:MAX_EVENTS]:
        text = _("Added.") if change.is_addition() else change.get_change_message() or _("Changed.")
        yield Event(change.action_time, "change", change.pk, text, "", str(change.user))


def shorten(text: str) -> str:
    return Truncator(text).chars(200)

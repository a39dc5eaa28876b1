"""The timeline of a customer: visits, follow-ups, messages, replies, consents and changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from itertools import chain
from zoneinfo import ZoneInfo

from django.utils.text import Truncator
from django.utils.translation import gettext as _

from core_apps.accounts.models import User
from core_apps.history.lines import load_lines
from core_apps.history.models import RowChange
from core_apps.messaging.models import Consent, Message, Reply
from customers.models import Customer, FollowUp, Visit

MAX_EVENTS = 20


@dataclass(frozen=True, order=True)
class Event:
    moment: datetime
    kind: str  # visit, follow-up, message, reply, consent, change
    pk: int
    text: str
    note: str
    by: str
    zone: ZoneInfo | None = None  # the reader's by default
    is_open: bool = False


def build_timeline(customer: Customer, user: User) -> list[Event]:
    """Return the newest events that the user may see, the newest first, by a fixed number of queries."""
    sources = (visit_events, follow_up_events, message_events, reply_events, consent_events, change_events)
    return nlargest(MAX_EVENTS, chain.from_iterable(events(customer, user) for events in sources))


def visit_events(customer: Customer, user: User) -> Iterator[Event]:
    rows = Visit.objects.visible_to(user).filter(customer=customer).select_related("exhibition", "captured_by")
    for visit in rows[:MAX_EVENTS]:
        text = f"{visit.exhibition}, {visit.get_grade_display()}" if visit.grade else str(visit.exhibition)
        note, by, zone = shorten(visit.note), str(visit.captured_by or ""), visit.exhibition.zone
        yield Event(visit.visited_at, "visit", visit.pk, text, note, by, zone)


def follow_up_events(customer: Customer, user: User) -> Iterator[Event]:
    """Yield each follow-up at the time it was completed or is due."""
    rows = FollowUp.objects.visible_to(user).filter(customer=customer).select_related("assignee")
    for follow_up in rows.order_by("-due_at", "-pk")[:MAX_EVENTS]:
        state = (follow_up.get_outcome_display() or _("done")) if follow_up.completed_at else _("to do")
        text, note = f"{follow_up.get_channel_display()}: {state}", shorten(follow_up.note)
        moment, by = follow_up.completed_at or follow_up.due_at, str(follow_up.assignee or "")
        is_open = follow_up.completed_at is None
        yield Event(moment, "follow-up", follow_up.pk, text, note, by, is_open=is_open)


def message_events(customer: Customer, user: User) -> Iterator[Event]:
    for message in Message.objects.filter(recipient=customer).order_by("-created_at", "-pk")[:MAX_EVENTS]:
        text = f"{message.get_channel_display()}, {message.get_purpose_display()}: {message.get_state_display()}"
        yield Event(message.finished_at or message.created_at, "message", message.pk, text, message.subject, "")


def reply_events(customer: Customer, user: User) -> Iterator[Event]:
    for reply in Reply.objects.filter(recipient=customer).order_by("-at", "-pk")[:MAX_EVENTS]:
        yield Event(reply.at, "reply", reply.pk, _("Wrote by WhatsApp"), shorten(reply.text), "")


def consent_events(customer: Customer, user: User) -> Iterator[Event]:
    rows = Consent.objects.filter(recipient=customer).select_related("wording", "by").order_by("-at", "-pk")
    for consent in rows[:MAX_EVENTS]:
        by = ", ".join(filter(None, (str(consent.by or ""), consent.get_method_display())))
        yield Event(consent.at, "consent", consent.pk, str(consent), "", by)


def change_events(customer: Customer, user: User) -> Iterator[Event]:
    for entry, lines in load_lines(RowChange.objects.of(customer)[:MAX_EVENTS], user):
        changes = "; ".join(f"{line.label}: {line.before or '-'} → {line.after or '-'}" for line in lines)
        text = _("Added.") if entry.table == Customer._meta.db_table and entry.action == "I" else shorten(changes)
        yield Event(entry.change.at, "change", entry.pk, text, "", entry.change.by)


def shorten(text: str) -> str:
    return Truncator(text).chars(200)

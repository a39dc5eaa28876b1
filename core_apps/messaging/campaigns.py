"""Campaigns: an e-mail to people whom somebody has chosen, a number of them each minute.

A message is added in the minute in which it is to leave, so that pausing and stopping only delete what has not begun.
Whether a person may get it is asked when it leaves, as for every message.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from core_apps.messaging.background import build_mail, send_campaign_message
from core_apps.messaging.merge import merge, merge_line
from core_apps.messaging.models import Campaign, Channel, Consent, Message, Purpose
from core_apps.tasks.kinds import task
from core_apps.tasks.mail import send_mail
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.periodic import repeat

State = Campaign.State
MAX_RECIPIENTS = 20_000


@transaction.atomic
def create_campaign(people: QuerySet[Any], owner: Any) -> Campaign:
    """A draft to these people, once to each address."""
    campaign = Campaign.objects.create(owner=owner)
    addressed = people.current().exclude(email="")  # type: ignore[attr-defined]
    campaign.recipients.set(addressed.order_by("email", "pk").distinct("email").values_list("pk", flat=True))
    return campaign


def find_allowed(campaign: Campaign) -> QuerySet[Any]:
    """Its recipients who agree to e-mails of this kind."""
    consent = Consent.objects.latest_of(OuterRef("pk"), Purpose.NEWS, Channel.EMAIL)
    people = campaign.recipients.current()
    return people.filter(Subquery(consent.values("given"))).exclude(email="")  # type: ignore[no-any-return]


def find_next(campaign: Campaign) -> QuerySet[Any]:
    messages = Message.objects.filter(campaign=campaign, recipient=OuterRef("pk"))
    return find_allowed(campaign).filter(~Exists(messages)).with_merge_fields().order_by("pk")  # type: ignore[attr-defined,no-any-return]


def start(campaign: Campaign) -> bool:
    return change_state(campaign, State.SENDING, from_states=(State.DRAFT, State.PAUSED))


def pause(campaign: Campaign) -> bool:
    return halt(campaign, State.PAUSED, from_states=(State.SENDING,))


def stop(campaign: Campaign) -> bool:
    return halt(campaign, State.STOPPED, from_states=(State.SENDING, State.PAUSED))


@transaction.atomic
def halt(campaign: Campaign, state: State, *, from_states: Collection[State]) -> bool:
    is_changed = change_state(campaign, state, from_states=from_states)
    if is_changed:
        campaign.messages.filter(state=Message.State.QUEUED).delete()
    return is_changed


def change_state(campaign: Campaign, state: State, *, from_states: Collection[State]) -> bool:
    """Return whether this call has changed it: somebody else may have been first."""
    rows = Campaign.objects.filter(pk=campaign.pk, state__in=from_states)
    # A form that was loaded before is outdated.
    return bool(rows.update(state=state, updated_at=timezone.now()))


@task("messaging.campaigns", Queue.EMAILS)
def queue_campaigns(task: Task) -> None:
    # Of several that have waited for a worker, the last: otherwise the e-mails of all their minutes left at once.
    if Task.objects.filter(kind=task.kind, created_at__gt=task.created_at).exists():
        return
    for key in Campaign.objects.filter(state=State.SENDING).values_list("pk", flat=True):
        queue_next(key)


repeat(queue_campaigns, every=timedelta(minutes=1))


@transaction.atomic
def queue_next(key: int) -> None:
    """Add the messages of one minute, unless the campaign was paused."""
    campaign = Campaign.objects.select_for_update().filter(pk=key, state=State.SENDING).first()
    if campaign is None:
        return
    people = find_next(campaign)[: campaign.per_minute]
    messages = Message.objects.bulk_create(build_message(campaign, person) for person in people)
    rows = ((f"message:{message.pk}", None, {"message": message.pk}) for message in messages)
    send_campaign_message.enqueue_many(rows)
    unfinished = (Message.State.QUEUED, Message.State.SENDING)
    if not messages and not campaign.messages.filter(state__in=unfinished).exists():
        change_state(campaign, State.DONE, from_states=(State.SENDING,))


def build_message(campaign: Campaign, person: Any) -> Message:
    fields = person.get_merge_fields()
    return Message(
        recipient=person,
        purpose=Purpose.NEWS,
        campaign=campaign,
        key=f"campaign:{campaign.pk}:{person.pk}",
        language=campaign.language,
        subject=merge_line(campaign.subject, fields)[:200],
        text=merge(campaign.text, fields),
    )


def build_sample(campaign: Campaign, address: str) -> Message | None:
    """The message to the first recipient, if possible of those who agree, with another address."""
    chosen: tuple[Any, ...] = (find_allowed(campaign), campaign.recipients)
    people = (rows.with_merge_fields().order_by("pk").first() for rows in chosen)
    person = next(filter(None, people), None)
    if person is None:
        return None
    message = build_message(campaign, person)
    message.address = address
    return message


@task("messaging.campaign_test", Queue.EMAILS)
def send_test(task: Task, *, campaign: int, address: str) -> None:
    sample = build_sample(Campaign.objects.get(pk=campaign), address)
    if sample:
        send_mail(build_mail(sample), task)

"""Sends messages. Whether one may be sent is asked last, by the statement that claims it, and not by who queued it."""

import logging
from datetime import timedelta
from typing import Any

from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, OuterRef, Subquery
from django.db.models.functions import Coalesce, Greatest, Now
from django.utils.translation import gettext as _
from django.utils.translation import override

from core_apps.messaging import whatsapp
from core_apps.messaging.models import Channel, Consent, Message, Suppression
from core_apps.messaging.suppression import build_unsubscribe_url, check_key, hash_address, is_suppressed, suppress_all
from core_apps.messaging.whatsapp import Action
from core_apps.tasks.kinds import RejectError, RetryError, UnknownError, task
from core_apps.tasks.mail import send_mail
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.running import MAX_ERROR_LENGTH, cancel

logger = logging.getLogger(__name__)
State = Message.State


@transaction.atomic
def queue_message(key: str, **values: Any) -> bool:
    """Store a message and have it sent; return False if there is one with this key."""
    message, is_new = Message.objects.get_or_create(key=key, defaults=values)
    if is_new:
        kind = send_whatsapp if message.channel == Channel.WHATSAPP else send_message
        kind.enqueue(key=f"message:{message.pk}", message=message.pk)
    return is_new


def record_failure(state: Task.State, error: str, *, message: int) -> None:
    outcome = State.UNKNOWN if state == Task.State.UNKNOWN else State.FAILED
    Message.objects.filter(pk=message).advance(outcome, error=error)


@task("messaging.send", Queue.EMAILS, on_failure=record_failure)
def send_message(task: Task, *, message: int) -> None:
    claimed = claim(message)
    if claimed is None:
        return
    try:
        provider_id = send_mail(build_mail(claimed), task)
    except RetryError as error:
        set_state(message, State.QUEUED, str(error))
        raise
    record_acceptance(message, provider_id=provider_id)


# After all others.
@task("messaging.send_campaign", Queue.EMAILS, priority=3, on_failure=record_failure)
def send_campaign_message(task: Task, *, message: int) -> None:
    check_outcome(message)
    send_message.run(task, message=message)


@task("messaging.send_whatsapp", Queue.EMAILS, on_failure=record_failure)
def send_whatsapp(_task: Task, *, message: int) -> None:
    check_outcome(message)
    claimed = claim(message)
    if claimed is None:
        return
    try:
        sent = whatsapp.send(claimed, build_text(claimed))
    except RetryError as error:
        set_state(message, State.QUEUED, str(error))
        raise
    except whatsapp.ApiError as error:
        set_state(message, State.QUEUED, str(error))
        raise react(claimed, error) from error
    record_acceptance(message, **sent)


def record_acceptance(message: int, **values: Any) -> None:
    """Store the values, also where a later state was reported meanwhile."""
    rows = Message.objects.filter(pk=message)
    rows.update(**values)
    rows.advance(State.SENT, error="")


# By what an error means; those of others are tried again after the delays of the task.
WAITS = {
    Action.STOP_CHANNEL: timedelta(hours=1),
    Action.SLOW_DOWN: timedelta(seconds=10),
    Action.WAIT: timedelta(days=1),
}
FINAL = (Action.FAIL, Action.USE_TEMPLATE, Action.SUPPRESS, Action.STOP_TEMPLATE)


def react(message: Message, error: whatsapp.ApiError) -> RetryError | RejectError:
    """Do what the error means for others, and return what it means for the task."""
    action = error.action
    waiting = Task.objects.filter(kind=send_whatsapp.name, state=Task.State.QUEUED)
    if action in (Action.STOP_CHANNEL, Action.SLOW_DOWN):
        waiting.update(due_at=Greatest("due_at", Now() + WAITS[action]), error=str(error)[:MAX_ERROR_LENGTH])
    if action == Action.STOP_CHANNEL:
        logger.error("No message leaves by WhatsApp: %s", error)
    if action == Action.STOP_TEMPLATE:
        same = Message.objects.filter(template=message.template, state=State.QUEUED)
        cancel(waiting.filter(payload__message__in=list(same.values_list("pk", flat=True))), str(error))
    if action == Action.SUPPRESS:
        suppress_all(message.address)
    return RejectError(str(error)) if action in FINAL else RetryError(str(error), WAITS.get(action))


def check_outcome(key: int) -> None:
    """Raises UnknownError if an earlier attempt was not finished."""
    if Message.objects.filter(pk=key, state=State.SENDING).exists():
        raise UnknownError("Its worker ended while it sent the message.")


def claim(key: int) -> Message | None:
    """Return the message as it is to be sent now; None if it is sent already, or must not be sent."""
    message = Message.objects.select_related("recipient").filter(pk=key).first()
    if message is None or message.state in Message.DONE:
        return None
    check_key()
    field = Channel(message.channel).address_field
    address = getattr(message.recipient, field)
    latest = Consent.objects.latest_of(OuterRef("recipient"), OuterRef("purpose"), OuterRef("channel"))
    unsubscribed = Suppression.objects.filter(digest=hash_address(address), purpose=OuterRef("purpose"))
    people = type(message.recipient)._default_manager.current().filter(**{field: address}).exclude(**{field: ""})
    allowed = Message.objects.alias(
        is_given=Subquery(latest.values("given")), is_suppressed=Exists(unsubscribed)
    ).filter(pk=key, recipient__in=people.order_by().values("pk"), is_given=True, is_suppressed=False)
    if allowed.update(
        state=State.SENDING,
        address=address,
        consent=Subquery(latest.values("pk")),
        sending_at=Coalesce("sending_at", Now()),
        updated_at=Now(),
    ):
        return Message.objects.get(pk=key)
    set_state(key, State.REFUSED, find_reason(message))
    return None


def find_reason(message: Message) -> str:
    channel = Channel(message.channel)
    if is_suppressed(channel.get_address(message.recipient), message.purpose):
        return "The person has unsubscribed."
    latest = Consent.objects.latest_of(message.recipient_id, message.purpose, channel).first()
    if latest and latest.given:
        needed = "valid phone number" if channel == Channel.WHATSAPP else "e-mail address"
        return f"The person is archived, or has no {needed}."
    return "The person has not agreed, or has withdrawn the consent."


def set_state(key: int, state: Message.State, error: str = "") -> None:
    finished_at = None if state == State.QUEUED else Now()
    Message.objects.filter(pk=key).update(state=state, error=error, finished_at=finished_at, updated_at=Now())


def build_mail(message: Message) -> EmailMessage:
    """The headers make mail programs offer a button that posts to the address (RFC 8058)."""
    url = build_unsubscribe_url(message.address, message.purpose)
    headers = {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    mail = EmailMessage(message.subject, build_text(message), None, [message.address], headers=headers)
    if message.vcard:
        mail.attach("contact.vcf", message.vcard, "text/vcard")
    return mail


def build_text(message: Message) -> str:
    url = build_unsubscribe_url(message.address, message.purpose)
    with override(message.language):
        footer = _("If you want no more messages of this kind:")
    return f"{message.text.strip()}\n\n-- \n{footer}\n{url}\n"

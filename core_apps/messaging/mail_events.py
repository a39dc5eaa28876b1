"""What became of an e-mail after a provider has accepted it, as django-anymail reports it: out of order, and repeated.

https://anymail.dev/en/stable/sending/tracking/
"""

from typing import Any

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason, tracking
from django.dispatch import receiver

from core_apps.messaging.models import Channel, Message
from core_apps.messaging.suppression import suppress_all

STATES = {
    EventType.DELIVERED: Message.State.DELIVERED,
    EventType.BOUNCED: Message.State.FAILED,
    EventType.REJECTED: Message.State.FAILED,
    EventType.FAILED: Message.State.FAILED,
}
NO_SUCH_ADDRESS = (RejectReason.INVALID, RejectReason.BOUNCED)


@receiver(tracking)
def record_event(event: AnymailTrackingEvent, **_signal: Any) -> None:
    state = STATES.get(event.event_type)
    if state and event.message_id:
        error = str(event.description or event.event_type) if state == Message.State.FAILED else ""
        rows = Message.objects.filter(channel=Channel.EMAIL, provider_id=event.message_id)
        rows.advance(state, error=error)
    if event.recipient and is_final(event):
        suppress_all(event.recipient)


def is_final(event: AnymailTrackingEvent) -> bool:
    """Whether the address must get no further message: it does not exist, or its owner complains."""
    if event.event_type == EventType.BOUNCED:
        return event.reject_reason in NO_SUCH_ADDRESS
    return event.event_type in (EventType.COMPLAINED, EventType.UNSUBSCRIBED)

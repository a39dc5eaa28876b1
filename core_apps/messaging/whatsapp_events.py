"""The webhook of WhatsApp: statuses of messages, replies, and opt-outs; repeated, in batches, and in any order."""

import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime
from itertools import product
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core_apps.messaging.models import Channel, Message, Reply, Suppression
from core_apps.messaging.suppression import hash_address, suppress_all
from core_apps.messaging.whatsapp import ACTIONS, Action, describe, is_on
from core_apps.tasks.models import Task

logger = logging.getLogger(__name__)
# What an event leads to whose fields are missing, or have other types or lengths.
UNDOCUMENTED = (ArithmeticError, AttributeError, DataError, IntegrityError, LookupError, TypeError, ValueError)
MAX_BODY = 3 * 2**20  # bytes, as documented
STATES = {
    "sent": Message.State.SENT,
    "delivered": Message.State.DELIVERED,
    "read": Message.State.READ,
    "played": Message.State.READ,
    "failed": Message.State.FAILED,
}
TIMES = {Message.State.DELIVERED: "delivered_at", Message.State.READ: "read_at"}
STOP = {"stop", "stopp", "unsubscribe", "abmelden"}


@csrf_exempt  # the signature is what allows it
@never_cache
@require_http_methods(["GET", "POST"])
def whatsapp(request: HttpRequest) -> HttpResponse:
    if not is_on():
        return HttpResponse(status=404)
    if request.method == "GET":
        return confirm_address(request)
    body = request.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        return HttpResponse(status=413)
    if not is_signed(body, request.headers.get("X-Hub-Signature-256", "")):
        return HttpResponseForbidden("The signature is not that of WHATSAPP_APP_SECRET.\n", content_type="text/plain")
    record(body)
    return HttpResponse()


def confirm_address(request: HttpRequest) -> HttpResponse:
    """Meta asks when the address is entered, and expects what it sent."""
    token = request.GET.get("hub.verify_token", "")
    expected = settings.WHATSAPP_VERIFY_TOKEN
    if request.GET.get("hub.mode") != "subscribe" or not hmac.compare_digest(token.encode(), expected.encode()):
        return HttpResponseForbidden("The token is not WHATSAPP_VERIFY_TOKEN.\n", content_type="text/plain")
    return HttpResponse(request.GET.get("hub.challenge", ""), content_type="text/plain")


def is_signed(body: bytes, signature: str) -> bool:
    expected = hmac.new(settings.WHATSAPP_APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={expected}".encode(), signature.encode())


def record(body: bytes) -> None:
    """Record what is known. What is not as documented is left out, or would be sent again for days, with the rest."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        logger.exception("WhatsApp sent something else than JSON")
        return
    changes = [change for entry in list_objects(content, "entry") for change in list_objects(entry, "changes")]
    for (field, handle), change in product(HANDLERS.items(), changes):
        for event in list_objects(change.get("value"), field):
            try:
                with transaction.atomic():
                    handle(event)
            except UNDOCUMENTED:
                logger.exception("WhatsApp sent an event that is not as documented")


def list_objects(content: Any, name: str) -> list[dict[str, Any]]:
    """The objects in the list of this name."""
    rows = content.get(name) if isinstance(content, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def record_status(status: dict[str, Any]) -> None:
    key, state = status.get("biz_opaque_callback_data", ""), STATES.get(status.get("status", ""))
    if state is None or not key.isdecimal():
        return
    rows = Message.objects.filter(pk=int(key), channel=Channel.WHATSAPP, provider_id__in=("", status["id"]))
    errors = status.get("errors", ())
    values = {"provider_id": status["id"], "error": "; ".join(map(describe, errors))}
    if state in TIMES:
        values |= {TIMES[state]: read_time(status), "finished_at": Coalesce("finished_at", Now())}
    if rows.advance(state, **values):
        # Nobody needs to decide any more whether it was sent.
        Task.objects.filter(key=f"message:{key}", state=Task.State.UNKNOWN).update(state=Task.State.DONE)
    if any(ACTIONS.get(error.get("code")) == Action.SUPPRESS for error in errors):
        suppress_all(f"+{status['recipient_id']}")


def record_reply(message: dict[str, Any]) -> None:
    if "from" not in message:  # of somebody with a user name
        return
    address, text = f"+{message['from']}", message.get("text", {}).get("body", "").replace("\0", "")
    people = apps.get_model(settings.MESSAGE_RECIPIENT_MODEL)._default_manager
    replies = [
        Reply(recipient=person, address=address, provider_id=message["id"], text=text, at=read_time(message))
        for person in people.filter(phone_e164=address)
    ]
    Reply.objects.bulk_create(replies, ignore_conflicts=True)
    if text.strip().casefold() in STOP:
        suppress_all(address)


def record_preference(preference: dict[str, Any]) -> None:
    if preference.get("category") != "marketing_messages" or "wa_id" not in preference:
        return
    address = f"+{preference['wa_id']}"
    if preference.get("value") == "stop":
        suppress_all(address)
    elif preference.get("value") == "resume":
        Suppression.objects.filter(digest=hash_address(address), created_at__lt=read_time(preference)).delete()


def read_time(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(event["timestamp"]), UTC)


HANDLERS = {"statuses": record_status, "messages": record_reply, "user_preferences": record_preference}

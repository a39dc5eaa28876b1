"""Sends by the WhatsApp Cloud API. Accepted is not delivered: core_apps/messaging/whatsapp_events.py gets the rest.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

import http.client
import json
from datetime import timedelta
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import to_locale

from core_apps.messaging.models import Message, Reply
from core_apps.tasks.kinds import RejectError, RetryError, UnknownError

VERSION = "v26.0"
TIMEOUT = 15  # seconds
MAX_RESPONSE = 2**16  # bytes
MAX_TEXT = 4096  # characters
WINDOW = timedelta(hours=24)  # after a message of the person, in which any text is allowed


class Action(Enum):
    """What an error means for the message, and for those that wait."""

    STOP_CHANNEL = "wait until somebody has corrected the account, and so do all others"
    RETRY = "try again later"
    SLOW_DOWN = "try again soon, and so do all others"
    DELAY = "try again later; other people get theirs"
    FAIL = "fail"
    USE_TEMPLATE = "send the template instead of the text"
    WAIT = "try again the next day"
    SUPPRESS = "fail, and send this person no more"
    STOP_TEMPLATE = "fail, and so do all others with this template"


CODES = {
    Action.STOP_CHANNEL: (0, 10, 190, 368, 131031, 133010),  # token, permission, account
    Action.RETRY: (1, 2, 131000, 131016),
    Action.SLOW_DOWN: (4, 80007, 130429),
    Action.DELAY: (131056,),  # too many to one person
    Action.FAIL: (
        *(100, 131008, 131009, 131051),  # the request
        *(130472, 131026, 131062),  # the recipient
        *(132000, 132001, 132005, 132007, 132012),  # the template
    ),
    Action.USE_TEMPLATE: (131047,),
    Action.WAIT: (131048, 131049),  # too much marketing
    Action.SUPPRESS: (131050,),
    Action.STOP_TEMPLATE: (132015, 132016),
}
ACTIONS = {code: action for action, codes in CODES.items() for code in codes}


class ApiError(Exception):
    """The API has not accepted the message."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.action = ACTIONS.get(error.get("code", -1), Action.RETRY)
        super().__init__(describe(error))


def describe(error: dict[str, Any]) -> str:
    """Of an answer, or of a status; both have these fields."""
    texts = (error.get("message") or error.get("title"), (error.get("error_data") or {}).get("details"))
    return f"WhatsApp {error.get('code')}: {': '.join(filter(None, texts))}"


def is_on() -> bool:
    # Its messages could be redirected to nobody.
    return bool(settings.WHATSAPP_TOKEN) and not settings.EMAIL_REDIRECT_TO


def send(message: Message, text: str) -> dict[str, str]:
    """Send the text where WhatsApp allows it, otherwise the template.

    Return what to record: the id that the API gives it, and blanks for what was not sent.

    Raises ApiError, RetryError if the API was not reached, RejectError if WhatsApp is off, and UnknownError if it may
    have accepted the message.
    """
    if not is_on():
        raise RejectError("WhatsApp is off: WHATSAPP_TOKEN is not set, or EMAIL_REDIRECT_TO is.")
    if not message.template or (len(text) <= MAX_TEXT and is_window_open(message)):
        try:
            key = post(message, {"type": "text", "text": {"preview_url": False, "body": text}})
        except ApiError as error:
            if error.action != Action.USE_TEMPLATE or not message.template:
                raise
        else:
            return {"provider_id": key, "template": "", "parameters": ""}
    return {"provider_id": post(message, {"type": "template", "template": build_template(message)}), "text": ""}


def is_window_open(message: Message) -> bool:
    replies = Reply.objects.filter(recipient=message.recipient_id, address=message.address)
    return replies.filter(at__gt=Now() - WINDOW).exists()


def build_template(message: Message) -> dict[str, Any]:
    parameters = [{"type": "text", "text": line} for line in message.parameters.splitlines()]
    components = [{"type": "body", "parameters": parameters}] if parameters else []
    return {"name": message.template, "language": {"code": to_locale(message.language)}, "components": components}


def post(message: Message, content: dict[str, Any]) -> str:
    # The API has no key for repeated requests; statuses bring ours back.
    request = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.address,
        "biz_opaque_callback_data": str(message.pk),
    }
    answer = request_api(f"/{VERSION}/{settings.WHATSAPP_PHONE_NUMBER_ID}/messages", request | content)
    try:
        if "error" in answer:
            raise ApiError(answer["error"])
        return str(answer["messages"][0]["id"])
    except (AttributeError, LookupError, TypeError) as error:
        raise UnknownError("WhatsApp answered, but not as it documents.") from error


def request_api(path: str, content: dict[str, Any]) -> Any:
    url = urlsplit(settings.WHATSAPP_API_URL)
    connect = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = connect(url.hostname or "", url.port, timeout=TIMEOUT)
    headers = {"Authorization": f"Bearer {settings.WHATSAPP_TOKEN}", "Content-Type": "application/json"}
    try:
        connection.connect()
    except OSError as error:
        raise RetryError(f"{url.hostname} cannot be reached: {error}") from error
    try:
        connection.request("POST", path, json.dumps(content), headers)
        return json.loads(connection.getresponse().read(MAX_RESPONSE))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnknownError(f"WhatsApp gave no answer: {type(error).__name__}: {error}") from error
    finally:
        connection.close()

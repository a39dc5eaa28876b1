"""The webhooks that WhatsApp sends: statuses, messages of people, and their opt-outs."""

import hashlib
import hmac
import json
import logging
import os
import random
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from mock import state
from mock.errors import build_status_error

logger = logging.getLogger(__name__)
RETRIES = (0, 1, 5, 30)  # seconds; the real one goes on for days


def follow(wamid: str, code: int | None) -> None:
    """Report what becomes of an accepted message, by the settings of that moment."""
    settings = state.get_settings()
    statuses = [("failed", code)] if code is not None else [("sent", None), ("delivered", None)]
    chosen = [one for one in statuses if not happens(settings["loss"])]
    chosen += [one for one in chosen if happens(settings["duplicates"])]
    if settings["disorder"]:
        random.shuffle(chosen)
    threading.Thread(target=report_all, args=(wamid, chosen, settings["delay"]), daemon=True).start()


def happens(per_cent: float) -> bool:
    return random.random() * 100 < per_cent  # noqa: S311


def report_all(wamid: str, statuses: list[tuple[str, int | None]], delay: float) -> None:
    for status, code in statuses:
        time.sleep(delay)
        report(wamid, status, code)


def report(wamid: str, status: str, code: int | None = None) -> None:
    with state.lock:
        message = state.get("messages", wamid)
        if message is None:  # reset since
            return
        state.write("messages", wamid, message | {"status": status, "code": code})
    entry: dict[str, Any] = {
        "id": wamid,
        "status": status,
        "timestamp": str(int(time.time())),
        "recipient_id": message["phone"],
        "biz_opaque_callback_data": message["opaque"],
    }
    if status in ("sent", "delivered"):
        entry["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "utility"}
    if code is not None:
        entry["errors"] = [build_status_error(code)]
    post("messages", {"statuses": [entry]})


def write(phone: str, text: str) -> str:
    """A message of the person, which opens the window."""
    wamid = f"wamid.{random.getrandbits(120):030x}"
    state.open_window(phone)
    message = {"phone": phone, "time": time.time(), "type": "reply", "content": {"body": text}, "status": "received"}
    state.write("messages", wamid, message)
    entry = {"from": phone, "id": wamid, "timestamp": str(int(time.time())), "type": "text", "text": {"body": text}}
    post("messages", {"contacts": [{"profile": {"name": "A visitor"}, "wa_id": phone}], "messages": [entry]})
    return wamid


def stop_marketing(phone: str, value: str) -> None:
    preference = {
        "wa_id": phone,
        "detail": "User requested to change the preference",
        "category": "marketing_messages",
        "value": value,
        "timestamp": int(time.time()),
    }
    post("user_preferences", {"user_preferences": [preference]})


def post(field: str, value: dict[str, Any]) -> None:
    """Sign the body as Meta does, with other characters than ASCII escaped, and try until it is taken."""
    metadata = {"display_phone_number": "15550000000", "phone_number_id": os.environ["WHATSAPP_PHONE_NUMBER_ID"]}
    value = {"messaging_product": "whatsapp", "metadata": metadata} | value
    changes = [{"field": field, "value": value}]
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": changes}]}).encode()
    signature = hmac.new(os.environ["WHATSAPP_APP_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
    request = urllib.request.Request(os.environ["CALLBACK_URL"], body, headers)  # noqa: S310 - set by who starts it
    for seconds in RETRIES:
        time.sleep(seconds)
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310
                return
        except OSError as error:
            logger.warning("%s: %s", request.full_url, error)

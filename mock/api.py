"""The address that the client calls: POST /<version>/<phone number id>/messages."""

import base64
import json
import os
import secrets
import socket
import time
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from mock import events, state
from mock.errors import ERRORS, FAILING, REFUSED, build_error, find_code

HANG = 60  # seconds, longer than any client waits
MAX_TEXT = 4096


class RefusedError(Exception):
    def __init__(self, code: int, details: str = "") -> None:
        super().__init__(code)
        self.code, self.details = code, details


@csrf_exempt  # as the real one, it takes a token
@require_POST
def messages(request: HttpRequest, version: str, phone_number_id: str) -> HttpResponse:
    fault = state.get_settings()["fault"]
    if fault == "hang":
        time.sleep(HANG)
    if fault in ("hang", "500"):
        return HttpResponse("<h1>Sorry, something went wrong.</h1>", status=500)
    try:
        answer = accept(request, phone_number_id)
    except RefusedError as error:
        return JsonResponse({"error": build_error(error.code, error.details)}, status=ERRORS[error.code][0])
    if fault == "drop":
        request.META["gunicorn.socket"].shutdown(socket.SHUT_RDWR)
    return JsonResponse(answer)


def accept(request: HttpRequest, phone_number_id: str) -> dict[str, Any]:
    if request.headers.get("Authorization") != f"Bearer {os.environ['WHATSAPP_TOKEN']}":
        raise RefusedError(190)
    if phone_number_id != os.environ["WHATSAPP_PHONE_NUMBER_ID"]:
        raise RefusedError(100, f"Object with ID '{phone_number_id}' does not exist")
    try:
        body = json.loads(request.body)
        phone = check(body)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RefusedError(100, f"Not a message: {error}") from error
    check_limits(phone)
    wamid = "wamid." + base64.b64encode(secrets.token_bytes(30)).decode().replace("/", "_")
    message = {
        "phone": phone,
        "time": time.time(),
        "content": body[body["type"]],
        "type": body["type"],
        "opaque": body.get("biz_opaque_callback_data", ""),
        "status": "accepted",
    }
    state.write("messages", wamid, message)
    events.follow(wamid, find_code(FAILING, phone))
    return {
        "messaging_product": "whatsapp",
        "contacts": [{"input": body["to"], "wa_id": phone}],
        "messages": [{"id": wamid, "message_status": "accepted"}],
    }


def check(body: dict[str, Any]) -> str:
    """Return the recipient's phone number, digits only."""
    phone = "".join(filter(str.isdigit, body.get("to", "")))
    if body.get("messaging_product") != "whatsapp" or not phone:
        raise RefusedError(131008, "messaging_product and to are required")
    if len(body.get("biz_opaque_callback_data", "")) > 512:
        raise RefusedError(131009, "biz_opaque_callback_data has more than 512 characters")
    if (code := find_code(REFUSED, phone)) is not None:
        raise RefusedError(code)
    if body.get("type") not in ("text", "template"):
        raise RefusedError(131051)
    if body["type"] == "template":
        check_template(body["template"])
    elif not 0 < len(body["text"]["body"]) <= MAX_TEXT:
        raise RefusedError(100, f"text.body must have 1 to {MAX_TEXT} characters")
    elif not state.is_window_open(phone):
        raise RefusedError(131047, "More than 24 hours have passed since the recipient last replied")
    return phone


def check_template(content: dict[str, Any]) -> None:
    name = f"{content['name']}:{content['language']['code']}"
    template = state.get_templates().get(name)
    if template is None or template["status"] in ("PENDING", "REJECTED"):
        raise RefusedError(132001, f"template name ({name}) is not approved")
    if template["status"] in ("PAUSED", "DISABLED"):
        raise RefusedError(132015 if template["status"] == "PAUSED" else 132016)
    bodies = [one for one in content.get("components", []) if one["type"] == "body"]
    parameters = [parameter for one in bodies for parameter in one["parameters"]]
    if len(parameters) != template["parameters"]:
        raise RefusedError(132000, f"{len(parameters)} parameters, and {template['parameters']} are expected")
    for parameter in parameters:
        if parameter.get("type") != "text" or not parameter.get("text") or "\n" in parameter["text"]:
            raise RefusedError(132012, "a parameter is a text of one line")


def check_limits(phone: str) -> None:
    settings = state.get_settings()
    if state.count_this_second() > settings["messages_per_second"]:
        raise RefusedError(130429)
    if not state.take_turn(phone, settings["burst_to_one_person"]):
        raise RefusedError(131056)

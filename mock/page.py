"""The page with the phones and their messages; its forms do what people, networks and Meta do."""

import threading
from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

from mock import events, state
from mock.errors import ERRORS, FAILING, REFUSED

STATUSES = ("sent", "delivered", "read", "failed")
TEMPLATE_STATUSES = ("APPROVED", "PENDING", "REJECTED", "PAUSED", "DISABLED")


def phones(request: HttpRequest) -> HttpResponse:
    rows = [message | {"wamid": wamid} for wamid, message in state.read("messages").items()]
    rows.sort(key=lambda row: (row["phone"], row["time"]))
    context = {
        "phones": [(phone, list(of_phone)) for phone, of_phone in groupby(rows, key=lambda row: row["phone"])],
        "settings": state.get_settings(),
        "templates": state.get_templates(),
        "statuses": STATUSES,
        "template_statuses": TEMPLATE_STATUSES,
        "codes": ERRORS,
        "numbers": [(code, REFUSED[code], FAILING[code]) for code in ERRORS],
    }
    return render(request, "phones.html", context)


def health(request: HttpRequest) -> HttpResponse:
    state.client.ping()
    return HttpResponse("ok")


@require_POST
def reset(request: HttpRequest) -> HttpResponse:
    state.reset()
    return HttpResponseRedirect("/")


@require_POST
def change_settings(request: HttpRequest) -> HttpResponse:
    """Change those that the form has; a box that is not ticked is missing."""
    for name, default in state.SETTINGS.items():
        kind: Any = type(default)
        if kind is bool:
            state.write("settings", name, name in request.POST)
        elif name in request.POST:
            try:
                state.write("settings", name, kind(request.POST[name] or default))
            except ValueError:
                return HttpResponseBadRequest(f"{name} is not a number: {request.POST[name]}")
    return HttpResponseRedirect("/")


@require_POST
def add_template(request: HttpRequest) -> HttpResponse:
    name, count = request.POST.get("name", ""), request.POST.get("parameters", "")
    if ":" not in name or not count.isdecimal() or request.POST.get("status") not in TEMPLATE_STATUSES:
        return HttpResponseBadRequest("A template has a name with a language (visit_thanks:en), a number and a status.")
    state.write("templates", name, {"status": request.POST["status"], "parameters": int(count)})
    return HttpResponseRedirect("/")


@require_POST
def write(request: HttpRequest, phone: str) -> HttpResponse:
    """What the person does: write, or stop or resume marketing."""
    if value := request.POST.get("marketing"):
        start(events.stop_marketing, phone, value)
    else:
        start(events.write, phone, request.POST.get("text", ""))
    return HttpResponseRedirect("/")


@require_POST
def report_status(request: HttpRequest, wamid: str) -> HttpResponse:
    status, code = request.POST.get("status", ""), request.POST.get("code", "131026")
    if status not in STATUSES or not code.isdecimal() or int(code) not in ERRORS:
        return HttpResponseBadRequest(f"No such status or code: {status} {code}")
    start(events.report, wamid, status, int(code) if status == "failed" else None)
    return HttpResponseRedirect("/")


def start(function: Any, *arguments: Any) -> None:
    """In the background: the site may take long to answer the webhook."""
    threading.Thread(target=function, args=arguments, daemon=True).start()

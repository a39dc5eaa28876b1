"""A user's open follow-ups as a calendar (RFC 5545), for programs that subscribe to an address."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_safe

from customers.models import CalendarFeed, FollowUp

LENGTH = timedelta(minutes=30)
MAX_EVENTS = 1000
MAX_LINE = 75  # bytes


@permission_required("customers.view_followup", raise_exception=True)
def calendar_page(request: HttpRequest) -> HttpResponse:
    """Show the address; a POST creates another one, in place of the former, or removes it."""
    feeds = CalendarFeed.objects.filter(user=request.user)  # type: ignore[misc]
    if request.method == "POST":
        feeds.delete()
        if "remove" not in request.POST:
            CalendarFeed.objects.create(user=request.user)  # type: ignore[misc]
        return HttpResponseRedirect(reverse("admin:calendar"))
    feed = feeds.first()
    url = request.build_absolute_uri(reverse("calendar_feed", args=[feed.key])) if feed else ""
    context = admin.site.each_context(request) | {"title": _("Follow-ups in your calendar"), "url": url}
    return render(request, "customers/calendar.html", context)


@require_safe
def calendar_feed(request: HttpRequest, key: str) -> HttpResponse:
    """Raises Http404 for an unknown key, and for a user who may no longer view follow-ups."""
    feed = get_object_or_404(CalendarFeed.objects.select_related("user"), key=key)
    if not (feed.user.is_active and feed.user.has_perm("customers.view_followup")):
        raise Http404
    follow_ups = FollowUp.objects.assigned_to(feed.user).open().filter(customer__archived_at=None)
    events = follow_ups.select_related("customer__company").order_by("due_at", "pk")[:MAX_EVENTS]
    with override(feed.user.language or settings.LANGUAGE_CODE):
        text = "".join(f"{fold(line)}\r\n" for line in write_calendar(request, events))
    return HttpResponse(text, content_type="text/calendar; charset=utf-8", headers={"Cache-Control": "private"})


def write_calendar(request: HttpRequest, follow_ups: Iterable[FollowUp]) -> Iterator[str]:
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//{escape(str(admin.site.site_header))}//EN")
    yield f"X-WR-CALNAME:{escape(str(FollowUp._meta.verbose_name_plural))}"
    for follow_up in follow_ups:
        url = reverse("admin:customers_followup_change", args=[follow_up.pk])
        contacts = (follow_up.note, follow_up.customer.phone, follow_up.customer.email)
        yield from (
            "BEGIN:VEVENT",
            f"UID:{follow_up.public_id}",
            f"DTSTAMP:{format_time(follow_up.updated_at)}",
            f"DTSTART:{format_time(follow_up.due_at)}",
            f"DTEND:{format_time(follow_up.due_at + LENGTH)}",
            f"SUMMARY:{escape(f'{follow_up.get_channel_display()}: {follow_up.customer.label}')}",
            f"DESCRIPTION:{escape(chr(10).join(filter(None, contacts)))}",
            f"URL:{request.build_absolute_uri(url)}",
            "END:VEVENT",
        )
    yield "END:VCALENDAR"


def format_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def escape(text: str) -> str:
    """As a TEXT value (RFC 5545, section 3.3.11)."""
    for character in "\\;,":
        text = text.replace(character, f"\\{character}")
    return "".join("\\n" if sign == "\n" else sign for sign in text if sign == "\n" or sign.isprintable())


def fold(line: str) -> str:
    """Break a long line into lines that begin with a blank, between characters."""
    parts, size = [""], 0
    for character in line:
        length = len(character.encode())
        if size + length > MAX_LINE:
            parts, size = [*parts, " "], 1
        parts[-1] += character
        size += length
    return "\r\n".join(parts)

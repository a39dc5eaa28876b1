"""The daily e-mail of a person's follow-ups, at seven in their time zone."""

from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from core_apps.accounts.models import User
from core_apps.common.time_zones import get_zone
from core_apps.tasks.kinds import task
from core_apps.tasks.mail import DUMMY, send_mail
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.periodic import repeat
from customers.models import FollowUp

# Later only if nothing ran at seven.
MORNING = range(7, 12)
MAX_ITEMS = 20


@task("customers.digests", Queue.EMAILS)
def queue_digests(task: Task) -> None:
    queue_due(task.created_at)  # the time of the database


# Time zones differ by quarters of an hour.
repeat(queue_digests, every=timedelta(minutes=15))


def queue_due(moment: datetime) -> None:
    """The day is part of the key: each has one digest, also when clocks are put back."""
    if settings.EMAIL_BACKEND == DUMMY:
        return
    for user in User.objects.filter(is_active=True, is_staff=True, daily_digest=True):
        local = moment.astimezone(get_zone(user.time_zone, settings.TIME_ZONE))
        if local.hour in MORNING:
            send_digest.enqueue(key=f"digest:{user.pk}:{local.date()}", user=user.pk)


@task("customers.digest", Queue.EMAILS)
def send_digest(task: Task, *, user: int) -> None:
    person = User.objects.get(pk=user)
    if person.is_active and person.daily_digest and (mail := build_digest(person, timezone.now())):
        send_mail(mail, task)


def build_digest(user: User, moment: datetime) -> EmailMessage | None:
    """Return None if there is nothing to do, or the person may not see follow-ups."""
    zone = get_zone(user.time_zone, settings.TIME_ZONE)
    with override(user.language or settings.LANGUAGE_CODE), timezone.override(zone):
        parts = [part for part in list_parts(user, moment) if part["count"]]
        if not parts or not user.has_perm("customers.view_followup"):
            return None
        context = {"parts": parts, "settings_url": settings.SITE_URL + reverse("admin:settings")}
        subject = ", ".join(f"{part['title']}: {part['count']}" for part in parts)
        return EmailMessage(subject, render_to_string("customers/digest.txt", context), None, [user.email])


def list_parts(user: User, moment: datetime) -> list[dict[str, Any]]:
    """In the active language and time zone."""
    tomorrow = timezone.localdate(moment) + timedelta(days=1)
    end = datetime.combine(tomorrow, time(), timezone.get_current_timezone())
    visible = FollowUp.objects.visible_to(user).filter(customer__archived_at=None)
    own = visible.assigned_to(user)
    return [
        build_part(_("Today"), own.open().filter(due_at__gte=moment, due_at__lt=end), "mine"),
        build_part(_("Overdue"), own.overdue_at(moment), "overdue"),
        build_part(_("Unassigned"), visible.unassigned(), "unassigned"),
    ]


def build_part(title: str, rows: Any, state: str) -> dict[str, Any]:
    url = f"{settings.SITE_URL}{reverse('admin:customers_followup_changelist')}?state={state}"
    shown = rows.select_related("customer__company").order_by("due_at", "pk")[:MAX_ITEMS]
    return {"title": title, "count": rows.count(), "rows": shown, "url": url}

import contextlib
import http.client
import time
from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone

from core_apps.tasks.kinds import PostponeError, RejectError, RetryError, task
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.periodic import repeat
from core_apps.webhooks import sending
from core_apps.webhooks.addresses import AddressError
from core_apps.webhooks.models import Delivery, Endpoint
from core_apps.webhooks.sending import Answer, build_body, build_headers, post

MINUTE, HOUR = 60, 3600
# Those of Standard Webhooks; together 75 hours.
DELAYS = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
MAX_FAILING = timedelta(days=5)
MAX_RETRY_AFTER = HOUR
REST = timedelta(minutes=5)  # of a receiver that has occupied a worker as long as it may
KEEP = timedelta(days=30)


def record_failure(_state: Task.State, error: str, *, delivery: str) -> None:
    rows = Delivery.objects.filter(pk=delivery)
    rows.update(state=Delivery.State.FAILED)
    rows.filter(attempted_at=None).update(response=error)


@task("webhooks.deliver", Queue.WEBHOOKS, delays=DELAYS, on_failure=record_failure)
def deliver(_task: Task, *, delivery: str) -> None:
    found = Delivery.objects.select_related("endpoint").filter(pk=delivery).first()
    if found:  # not deleted with its endpoint
        attempt(found)


def attempt(delivery: Delivery) -> None:
    """Raises RejectError, RetryError or PostponeError."""
    endpoint = delivery.endpoint
    if endpoint.state == Endpoint.State.PAUSED:
        raise RejectError("The webhook is paused.")
    if delivery.subject and endpoint.resting_until and endpoint.resting_until > timezone.now():  # a test does not wait
        raise PostponeError("Its receiver was too slow.", endpoint.resting_until - timezone.now())
    started = time.monotonic()
    answer, error = send(delivery)
    seconds = time.monotonic() - started
    delivery.attempted_at = timezone.now()
    delivery.milliseconds = round(1000 * seconds)
    delivery.status = answer.status if answer else None
    delivery.response = answer.text if answer else error
    if answer and 200 <= answer.status < 300:
        delivery.state = Delivery.State.DELIVERED
    delivery.save()
    record_health(endpoint, answer, is_delivered=delivery.state == Delivery.State.DELIVERED)
    if seconds >= sending.TIMEOUT:
        Endpoint.objects.filter(pk=endpoint.pk).update(resting_until=Now() + REST)
    if delivery.state != Delivery.State.DELIVERED:
        raise RetryError(f"HTTP {answer.status}" if answer else error, read_retry_after(answer))


def send(delivery: Delivery) -> tuple[Answer | None, str]:
    """Return the answer, or why there is none."""
    data = {"id": str(delivery.subject)} if delivery.subject else {}
    body = build_body(delivery.event, delivery.created_at.isoformat(), data)
    headers = build_headers(str(delivery.pk), int(time.time()), body, delivery.endpoint.secrets)
    try:
        return post(delivery.endpoint.url, body, headers), ""
    except (AddressError, OSError, http.client.HTTPException) as error:
        return None, str(error) or type(error).__name__


def record_health(endpoint: Endpoint, answer: Answer | None, *, is_delivered: bool) -> None:
    """Pause an endpoint that is gone (410), or that has failed for days."""
    rows = Endpoint.objects.filter(pk=endpoint.pk)
    if is_delivered:
        rows.filter(failing_since__isnull=False).update(failing_since=None)
        return
    rows.filter(failing_since=None).update(failing_since=Now())
    is_gone = answer is not None and answer.status == http.HTTPStatus.GONE
    late = rows if is_gone else rows.filter(failing_since__lt=Now() - MAX_FAILING)
    late.update(state=Endpoint.State.PAUSED)


def read_retry_after(answer: Answer | None) -> timedelta | None:
    """The seconds that a server asks for, at most an hour; None for a date, or nothing."""
    with contextlib.suppress(ValueError):
        if answer and answer.retry_after:
            return timedelta(seconds=min(MAX_RETRY_AFTER, max(0, int(answer.retry_after))))
    return None


@task("webhooks.delete_old", Queue.WEBHOOKS)
def delete_old_deliveries(_task: Task) -> None:
    Delivery.objects.filter(created_at__lt=Now() - KEEP).delete()


repeat(delete_old_deliveries, every=timedelta(days=1))

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core_apps.webhooks.background import deliver
from core_apps.webhooks.models import Delivery, Endpoint

TEST_EVENT = "test"


@transaction.atomic
def send_test(endpoints: Iterable[Endpoint]) -> int:
    """Send an event without a subject to each endpoint, and return their number."""
    rows = [Delivery(endpoint=endpoint, event=TEST_EVENT, created_at=timezone.now()) for endpoint in endpoints]
    Delivery.objects.bulk_create(rows)
    return enqueue(rows)


@transaction.atomic
def send_again(deliveries: QuerySet[Delivery]) -> int:
    """Send those that are not under way under their old ids, and return their number."""
    rows = list(deliveries.exclude(state=Delivery.State.PENDING).select_for_update())
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(state=Delivery.State.PENDING)
    return enqueue(rows)


def enqueue(rows: list[Delivery]) -> int:
    deliver.enqueue_many((None, None, {"delivery": str(row.pk)}) for row in rows)
    return len(rows)

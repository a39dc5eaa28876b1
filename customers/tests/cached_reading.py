"""Reads of a customer through the cache, in this or another process."""

import json
from typing import Any

from core_apps.cache.versioned_cache import get_or_compute
from customers.models import Customer


def state(pk: int) -> list[Any]:
    """What the tests write."""
    customer = Customer.objects.get(pk=pk)
    return [customer.notes, customer.owner_id, customer.archived_at is not None, customer.tags.count()]


def read(key: str, pk: int) -> bytes:
    return get_or_compute(f"{key} {pk}", lambda: json.dumps(state(pk)).encode())

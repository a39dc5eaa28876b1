"""Reads of a customer through the cache, in this or another process."""

import json
from typing import Any

from core_apps.cache.versioned_cache import answer
from customers.models import Customer


def state(pk: int) -> list[Any]:
    """What the tests write."""
    customer = Customer.objects.get(pk=pk)
    return [customer.notes, customer.owner_id, customer.archived_at is not None, customer.tags.count()]


def read(key: str, pk: int) -> bytes:
    return answer(f"{key} {pk}", lambda: json.dumps(state(pk)).encode())

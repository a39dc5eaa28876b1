from itertools import islice

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core_apps.accounts.models import User
from customers.models import Customer, Tag

BATCH_SIZE = 5_000


def archive_customers(customers: QuerySet[Customer]) -> int:
    """Hide the customers from the lists, and return how many were not archived before."""
    now = timezone.now()
    return customers.filter(archived_at=None).update(archived_at=now, updated_at=now)


def unarchive_customers(customers: QuerySet[Customer]) -> int:
    return customers.exclude(archived_at=None).update(archived_at=None, updated_at=timezone.now())


def assign_customers(customers: QuerySet[Customer], user: User) -> int:
    """Make the user the owner, and return how many customers changed."""
    return customers.exclude(owner=user).update(owner=user, updated_at=timezone.now())


@transaction.atomic
def tag_customers(customers: QuerySet[Customer], tag: Tag) -> int:
    """Add the tag, in batches that bound the memory, and return how many customers did not have it."""
    marks = Customer.tags.through
    untagged = customers.exclude(pk__in=marks.objects.filter(tag=tag).values("customer"))
    keys = untagged.order_by().values_list("pk", flat=True).iterator(BATCH_SIZE)
    count = 0
    while batch := [marks(customer_id=key, tag_id=tag.pk) for key in islice(keys, BATCH_SIZE)]:
        marks.objects.bulk_create(batch, ignore_conflicts=True)
        touch(Customer.objects.filter(pk__in=[mark.customer_id for mark in batch]))
        count += len(batch)
    return count


@transaction.atomic
def untag_customers(customers: QuerySet[Customer], tag: Tag) -> int:
    tagged = Customer.objects.filter(pk__in=customers.order_by().values("pk"), tags=tag)
    touch(Customer.objects.filter(pk__in=tagged.values("pk")))
    count, _ = Customer.tags.through.objects.filter(tag=tag, customer__in=customers.order_by()).delete()
    return count


def touch(customers: QuerySet[Customer]) -> None:
    """Update the version for optimistic locking, which covers the tags too."""
    customers.update(updated_at=timezone.now())

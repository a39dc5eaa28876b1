from itertools import islice

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core_apps.accounts.models import User
from customers.models import Customer, Tag

ROWS_AT_ONCE = 5_000


def archive_customers(customers: QuerySet[Customer]) -> int:
    """Take them out of the daily lists with all they have, and return how many they were."""
    now = timezone.now()
    return customers.filter(archived_at=None).update(archived_at=now, updated_at=now)


def bring_customers_back(customers: QuerySet[Customer]) -> int:
    return customers.exclude(archived_at=None).update(archived_at=None, updated_at=timezone.now())


def take_customers_over(customers: QuerySet[Customer], user: User) -> int:
    """Make the person their owner, and return how many had another one or none."""
    return customers.exclude(owner=user).update(owner=user, updated_at=timezone.now())


@transaction.atomic
def tag_customers(customers: QuerySet[Customer], tag: Tag) -> int:
    """Mark them with the tag, and return how many did not have it; however many there are, a few are in memory."""
    marks = Customer.tags.through
    untagged = customers.exclude(pk__in=marks.objects.filter(tag=tag).values("customer"))
    keys = untagged.order_by().values_list("pk", flat=True).iterator(ROWS_AT_ONCE)
    count = 0
    while batch := [marks(customer_id=key, tag_id=tag.pk) for key in islice(keys, ROWS_AT_ONCE)]:
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
    """Their tags are part of what is shown of them: who has read them before must not overwrite them unawares."""
    customers.update(updated_at=timezone.now())

"""Records what was captured at a stand, once, however often a phone sends it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core_apps.accounts.models import User
from customers.models import Capture, Company, Customer, Exhibition, Visit

# A phone's clock may be wrong, and an entry may wait for weeks; none is of the future, or of before there were clocks.
FASTEST_CLOCK = timedelta(days=1)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """As it left the phone; a customer without a primary key is a new one, of the company that is named."""

    client_uuid: UUID
    exhibition: Exhibition
    customer: Customer
    visited_at: datetime
    company: str = ""
    grade: str = ""
    interests: tuple[str, ...] = ()
    note: str = ""


@transaction.atomic
def capture_visit(entry: Entry, *, by: User) -> bool:
    """Records the visit and, where it is new, the customer; returns False where the entry had arrived before.

    Raises PermissionDenied, and ValidationError with the faults by field; then nothing is recorded.
    """
    refuse_unpermitted(entry, by)
    receipt = new_receipt(entry.client_uuid, by)
    if receipt is None:
        return False
    if not EARLIEST <= entry.visited_at <= timezone.now() + FASTEST_CLOCK:
        raise ValidationError({"visited_at": _("The clock of this device is wrong: it says %s.") % entry.visited_at})
    if not entry.customer.pk:
        save_customer(entry.customer, entry.company, by)
    receipt.visit = save_visit(entry, by)
    receipt.save(update_fields=("visit", "updated_at"))
    return True


def has_arrived(client_uuid: UUID, *, by: User) -> bool:
    return Capture.objects.filter(client_uuid=client_uuid, captured_by=by).exists()


def refuse_unpermitted(entry: Entry, by: User) -> None:
    needed = ["customers.add_visit"] if entry.customer.pk else ["customers.add_visit", "customers.add_customer"]
    if not by.has_perms(needed):
        raise PermissionDenied(_("You have no right to record this. Ask an administrator."))


def new_receipt(client_uuid: UUID, by: User) -> Capture | None:
    """None where there is one. Of several sendings at a time one is recorded, and the others wait for it."""
    try:
        with transaction.atomic():
            return Capture.objects.create(client_uuid=client_uuid, captured_by=by)
    except IntegrityError:
        if Capture.objects.get(client_uuid=client_uuid).captured_by_id == by.pk:
            return None
    raise ValidationError({"client_uuid": _("Another person has sent this entry.")})


def save_customer(customer: Customer, employer: str, by: User) -> None:
    customer.owner = by
    customer.full_clean()
    customer.company = company_named(employer, by) if employer else None
    customer.save()


def company_named(name: str, by: User) -> Company:
    """The one of this name; where there is none, or several, the one of which nothing else is known."""
    named = list(Company.objects.filter(name__iexact=name)[:2])
    if len(named) == 1:
        return named[0]
    plain: dict[str, Any] = {"domain": "", "country": ""}
    if not by.has_perm("customers.add_company"):
        raise ValidationError({"company": _("There is no single company of this name, and you may not add one.")})
    Company(name=name, **plain).clean_fields()
    company, _created = Company.objects.get_or_create(name__iexact=name, **plain, defaults={"name": name})
    return company


def save_visit(entry: Entry, by: User) -> Visit:
    visit = Visit(
        customer=entry.customer,
        exhibition=entry.exhibition,
        visited_at=entry.visited_at,
        grade=entry.grade,
        interests=list(entry.interests),
        note=entry.note,
        captured_by=by,
    )
    visit.full_clean()
    visit.save()
    return visit

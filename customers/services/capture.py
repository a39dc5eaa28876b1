"""Recording of visits captured at a stand; repeated requests record a visit only once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from core_apps.accounts.models import User
from core_apps.messaging.models import Consent, Wording
from customers.models import Capture, Company, Customer, Exhibition, Visit


@dataclass(frozen=True)
class CaptureEntry:
    """A visit as sent by the phone; a customer without a primary key is new and works for `company`."""

    client_uuid: UUID
    exhibition: Exhibition
    customer: Customer
    visited_at: datetime
    company: str = ""
    grade: str = ""
    interests: tuple[str, ...] = ()
    note: str = ""
    consents: tuple[Wording, ...] = ()  # to which the customer agreed
    method: str = Consent.Method.FORM


@transaction.atomic
def capture_visit(entry: CaptureEntry, *, by: User) -> bool:
    """Record the visit and, if new, the customer; return False if the entry was recorded before.

    Raises PermissionDenied, or ValidationError with the errors by field; then nothing is recorded.
    """
    check_permissions(entry, by)
    receipt = create_receipt(entry.client_uuid, by)
    if receipt is None:
        return False
    if not entry.customer.pk:
        save_customer(entry.customer, entry.company, by)
    receipt.visit = save_visit(entry, by)
    receipt.save(update_fields=("visit", "updated_at"))
    save_consents(entry, by)
    return True


def is_recorded(client_uuid: UUID, *, by: User) -> bool:
    return Capture.objects.filter(client_uuid=client_uuid, captured_by=by).exists()


def check_permissions(entry: CaptureEntry, by: User) -> None:
    permissions = ["customers.add_visit"] if entry.customer.pk else ["customers.add_visit", "customers.add_customer"]
    if entry.consents:
        permissions.append("messaging.add_consent")
    if not by.has_perms(permissions):
        raise PermissionDenied(_("You do not have permission to record this. Ask an administrator."))


def create_receipt(client_uuid: UUID, by: User) -> Capture | None:
    """Return None if it exists. Of simultaneous requests one creates it while the others wait.

    Raises ValidationError if it belongs to another user.
    """
    try:
        with transaction.atomic():
            return Capture.objects.create(client_uuid=client_uuid, captured_by=by)
    except IntegrityError:
        if Capture.objects.get(client_uuid=client_uuid).captured_by_id == by.pk:
            return None
    raise ValidationError({"client_uuid": _("This entry was already sent by another user.")})


def save_customer(customer: Customer, employer: str, by: User) -> None:
    customer.owner = by
    customer.full_clean()
    customer.company = get_company(employer, by) if employer else None
    customer.save()


def get_company(name: str, by: User) -> Company:
    """Return the company of this name; if there is none or several, get or create the one with only a name.

    Raises ValidationError if the user may not add companies.
    """
    companies = list(Company.objects.filter(name__iexact=name)[:2])
    if len(companies) == 1:
        return companies[0]
    blank: dict[str, Any] = {"domain": "", "country": ""}
    if not by.has_perm("customers.add_company"):
        raise ValidationError({"company": _("No company, or more than one, has this name, and you may not add one.")})
    Company(name=name, **blank).clean_fields()
    company, _created = Company.objects.get_or_create(name__iexact=name, **blank, defaults={"name": name})
    return company


def save_consents(entry: CaptureEntry, by: User) -> None:
    # Not in the future, where a fast clock of the phone may put it, or a withdrawal would seem to be older.
    at = min(entry.visited_at, timezone.now())
    for wording in entry.consents:
        entry.customer.consents.create(wording=wording, method=entry.method, at=at, by=by)


def save_visit(entry: CaptureEntry, by: User) -> Visit:
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

"""The thank-you after a visit: to visitors who have agreed to it, once per visit, with the vCard of the seller."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Concat

from core_apps.accounts.models import User
from core_apps.messaging.background import build_mail, queue_message
from core_apps.messaging.merge import merge, merge_line
from core_apps.messaging.models import Channel, Consent, Message, Purpose
from core_apps.messaging.suppression import is_suppressed
from core_apps.messaging.whatsapp import is_on
from core_apps.tasks.kinds import task
from core_apps.tasks.mail import send_mail
from core_apps.tasks.models import Queue, Task
from core_apps.tasks.periodic import repeat
from customers.exporting.tables import HEADINGS
from customers.exporting.vcard import build_card
from customers.models import Company, Customer, Exhibition, Visit

# Nobody wants to be thanked for what is long ago: a template that is written later, or a mail server that was away.
MAX_AGE = timedelta(days=4)
MAX_AT_ONCE = 500  # the next minute goes on
KEY = "thank-you:"


@task("customers.thank_yous", Queue.EMAILS)
def queue_thank_yous(task: Task) -> None:
    queue_due(task.created_at)  # the time of the database


repeat(queue_thank_yous, every=timedelta(minutes=1))


@task("customers.thank_you_test", Queue.EMAILS)
def send_test(task: Task, *, exhibition: int, user: int) -> None:
    sample = build_sample(Exhibition.objects.get(pk=exhibition), User.objects.get(pk=user))
    send_mail(build_mail(sample), task)


def queue_due(moment: datetime) -> None:
    for exhibition in Exhibition.objects.exclude(thank_you_subject=""):
        for visit in find_visits_to_thank(exhibition, moment)[:MAX_AT_ONCE]:
            channel = choose_channel(visit)
            of_another = ("vcard",) if channel == Channel.WHATSAPP else ("template", "parameters")
            values = build_thank_you(visit) | dict.fromkeys(of_another, "")
            queue_message(
                f"{KEY}{visit.pk}", recipient=visit.customer, purpose=Purpose.VISIT, channel=channel, **values
            )


def find_visits_to_thank(exhibition: Exhibition, moment: datetime) -> QuerySet[Visit]:
    """Visits whose time has come, of customers who agree, without a message so far; with by_whatsapp."""
    last = moment - timedelta(hours=exhibition.thank_you_hours)
    key = Concat(Value(KEY), Cast(OuterRef("pk"), CharField()))
    by_whatsapp = find_consent(Channel.WHATSAPP) if exhibition.thank_you_template and is_on() else Value(False)
    visits = Visit.objects.met_at(exhibition).filter(visited_at__gt=last - MAX_AGE, visited_at__lte=last)
    agreed = visits.annotate(by_whatsapp=by_whatsapp).filter(Q(by_whatsapp=True) | find_consent(Channel.EMAIL))
    return agreed.filter(~Exists(Message.objects.filter(key=key)), customer__archived_at=None).select_related(
        "customer__company", "customer__owner", "captured_by", "exhibition"
    )


def find_consent(channel: Channel) -> Q:
    latest = Consent.objects.latest_of(OuterRef("customer"), Purpose.VISIT, channel)
    return Q(Subquery(latest.values("given"))) & ~Q(**{f"customer__{channel.address_field}": ""})


def choose_channel(visit: Visit) -> Channel:
    """WhatsApp for who has agreed to it and not unsubscribed since, e-mail for all others."""
    by_whatsapp = visit.by_whatsapp and not is_suppressed(visit.customer.phone_e164, Purpose.VISIT)  # type: ignore[attr-defined]
    return Channel.WHATSAPP if by_whatsapp else Channel.EMAIL


def build_thank_you(visit: Visit) -> dict[str, Any]:
    """The contents of the message."""
    customer, exhibition = visit.customer, visit.exhibition
    seller = visit.captured_by or customer.owner
    fields = customer.get_merge_fields() | {"exhibition": str(exhibition), "seller": str(seller or "")}
    return {
        "language": exhibition.thank_you_language,
        "subject": merge_line(exhibition.thank_you_subject, fields)[:200],
        "text": merge(exhibition.thank_you_text, fields),
        "template": exhibition.thank_you_template,
        "parameters": "\n".join(merge_line(line, fields) for line in exhibition.thank_you_parameters.splitlines()),
        "vcard": build_vcard(seller) if seller else "",
    }


def build_vcard(user: User) -> str:
    given, _space, family = user.name.rpartition(" ")
    cells = dict.fromkeys(HEADINGS, "") | {"given name": given, "family name": family, "e-mail": user.email}
    return build_card(tuple(cells.values()), tuple(cells), "3.0")


def build_sample(exhibition: Exhibition, user: User) -> Message:
    """The message to an invented visitor; its address is that of the user."""
    company = Company(name="Analytical Engines")
    customer = Customer(given_name="Ada", family_name="Lovelace", company=company)
    visit = Visit(customer=customer, exhibition=exhibition, captured_by=user)
    return Message(**build_thank_you(visit), purpose=Purpose.VISIT, address=user.email)

"""The thank-you after a visit."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.urls import reverse

from core_apps.messaging.models import Consent, Message, Wording
from core_apps.messaging.suppression import suppress_all
from core_apps.tasks.running import run_due_tasks
from customers.models import Customer, Exhibition
from customers.tests.factories import make_company, make_customer, make_exhibition, make_visit
from customers.thank_you import MAX_AGE, queue_due

pytestmark = pytest.mark.django_db

VISITED = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
DUE = VISITED + timedelta(hours=2)


@pytest.fixture
def exhibition() -> Exhibition:
    return make_exhibition(
        thank_you_subject="Thank you for your visit to {exhibition}",
        thank_you_text="Dear {given_name|visitor},\n\nit was good to meet you and {company|you alone}.\n\n{seller}",
    )


@pytest.fixture
def visit(exhibition, alice):
    return make_visit(exhibition=exhibition, captured_by=alice, customer=make_customer(company=make_company()))


def agree(customer, channel="email", **values) -> None:
    wording, _created = Wording.objects.get_or_create(purpose="visit", channel=channel, language="en")
    Consent.objects.create(recipient=customer, wording=wording, method="spoken", at=VISITED, **values)


def send(moment=DUE) -> list[str]:
    """The subjects of what was sent since."""
    before = len(mail.outbox)
    queue_due(moment)
    run_due_tasks("emails")
    return [str(sent.subject) for sent in mail.outbox[before:]]


def test_visitor_who_agreed_is_thanked_once_with_the_vcard_of_the_seller(visit):
    agree(visit.customer)

    assert send() == ["Thank you for your visit to Harbour Fair 2026"]
    assert (send(), send(DUE + timedelta(days=1))) == ([], [])
    (sent,) = mail.outbox
    assert sent.to == ["ingrid@nordlys.example"]
    assert sent.body.startswith("Dear Ingrid,\n\nit was good to meet you and Nordlys Lighting.\n\nAlice\n\n-- \n")
    assert [(attached[0], attached[2]) for attached in sent.attachments] == [("contact.vcf", "text/vcard")]
    assert "FN:Alice\r\nN:Alice;;;;\r\nEMAIL:alice@example.com\r\n" in sent.attachments[0][1]
    assert Message.objects.get().key == f"thank-you:{visit.pk}"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [(DUE - timedelta(seconds=1), 0), (DUE, 1), (DUE + MAX_AGE - timedelta(seconds=1), 1), (DUE + MAX_AGE, 0)],
)
def test_thank_you_leaves_after_its_delay_and_not_much_later(moment, expected, visit):
    agree(visit.customer)

    assert len(send(moment)) == expected


def test_visitor_who_has_not_agreed_or_withdrawn_is_not_thanked(exhibition):
    agree(make_visit(exhibition=exhibition).customer, given=False)
    make_visit(exhibition=exhibition, customer=make_customer(email="jon@example.com"))

    assert (send(), Message.objects.count()) == ([], 0)


def test_visitor_who_agrees_later_is_thanked(visit):
    assert send() == []
    agree(visit.customer)

    assert len(send(DUE + timedelta(hours=5))) == 1


def test_exhibition_without_a_template_thanks_nobody():
    agree(make_visit(customer=make_customer()).customer)

    assert send() == []


def test_two_visits_are_two_messages(visit, exhibition):
    agree(visit.customer)
    make_visit(customer=visit.customer, exhibition=exhibition, visited_at=VISITED - timedelta(hours=1))

    assert (len(send()), Message.objects.count()) == (2, 2)


def test_name_with_braces_and_line_breaks_is_text(exhibition):
    customer = make_customer(given_name="{seller}\nBcc: jon@example.com")
    agree(make_visit(exhibition=exhibition, customer=customer).customer)
    Exhibition.objects.update(thank_you_subject="Dear {given_name}")

    assert send() == ["Dear {seller} Bcc: jon@example.com"]


@pytest.fixture
def by_whatsapp(visit, exhibition, settings):
    """A visitor who agrees to both channels, in an exhibition with a template."""
    settings.WHATSAPP_TOKEN = "a-token"
    settings.WHATSAPP_API_URL = "http://127.0.0.1:1"
    exhibition.thank_you_template, exhibition.thank_you_parameters = "visit_thanks", "{given_name}\n{exhibition}"
    exhibition.save()
    Customer.objects.filter(pk=visit.customer_id).update(phone="+491713920000", phone_e164="+491713920000")
    agree(visit.customer)
    agree(visit.customer, "whatsapp")
    return visit


def test_visitor_who_agreed_to_whatsapp_gets_the_template(by_whatsapp):
    assert send() == []

    message = Message.objects.get()
    assert (message.channel, message.address, message.template, message.language) == (
        *("whatsapp", "+491713920000", "visit_thanks", "en"),
    )
    assert (message.parameters, message.vcard) == ("Ingrid\nHarbour Fair 2026", "")
    assert message.text.startswith("Dear Ingrid,")  # within 24 hours of a reply


def turn_off(visit, settings):
    settings.WHATSAPP_TOKEN = ""


def remove_template(visit, settings):
    Exhibition.objects.update(thank_you_template="")


def remove_phone(visit, settings):
    Customer.objects.update(phone="", phone_e164="")


def withdraw(visit, settings):
    agree(visit.customer, "whatsapp", given=False)


def unsubscribe(visit, settings):
    suppress_all("+491713920000")


@pytest.mark.parametrize("change", [turn_off, remove_template, remove_phone, withdraw, unsubscribe])
def test_visitor_without_whatsapp_gets_an_e_mail(change, by_whatsapp, settings):
    change(by_whatsapp, settings)

    assert send() == ["Thank you for your visit to Harbour Fair 2026"]
    assert Message.objects.values_list("channel", "template", "parameters").get() == ("email", "", "")


def test_visitor_who_agreed_to_whatsapp_alone_gets_no_e_mail(by_whatsapp):
    agree(by_whatsapp.customer, given=False)

    send()

    assert Message.objects.get().channel == "whatsapp"


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"thank_you_template": "Visit thanks"}, ["thank_you_template"]),
        ({"thank_you_parameters": "{password}"}, ["thank_you_parameters"]),
        ({"thank_you_text": "{customer.owner}"}, []),  # no field: text
        ({"thank_you_text": "{password}"}, ["thank_you_text"]),
        ({"thank_you_subject": "{name}"}, ["thank_you_subject"]),
        ({"thank_you_subject": ""}, ["thank_you_subject"]),
        ({"thank_you_text": ""}, ["thank_you_text"]),
        ({"thank_you_hours": 73}, ["thank_you_hours"]),
        ({"thank_you_language": "fr"}, ["thank_you_language"]),
    ],
)
def test_template_is_checked_when_it_is_saved(changes, errors, exhibition):
    for name, value in changes.items():
        setattr(exhibition, name, value)

    found = []
    try:
        exhibition.full_clean()
    except ValidationError as error:
        found = list(error.message_dict)

    assert found == errors


def test_test_goes_to_the_person_who_asks(exhibition, alice, client_of):
    page = reverse("admin:customers_exhibition_thank_you", args=[exhibition.pk])

    text = client_of(alice).get(page, secure=True).content.decode()
    client_of(alice).post(page, secure=True)
    run_due_tasks("emails")

    assert "it was good to meet you and Analytical Engines." in text
    assert [(sent.to, sent.body.partition("\n")[0]) for sent in mail.outbox] == [(["alice@example.com"], "Dear Ada,")]
    assert Message.objects.count() == 0


def test_preview_is_for_who_may_change_the_exhibition(exhibition, member_of, client_of):
    page = reverse("admin:customers_exhibition_thank_you", args=[exhibition.pk])

    statuses = {
        role: client_of(member_of(role, exhibition)).get(page, secure=True).status_code
        for role in ("Manager", "Stand staff")
    }

    assert statuses == {"Manager": 200, "Stand staff": 403}

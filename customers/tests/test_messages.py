"""Messages to customers: only with consent, and not to who has unsubscribed."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.models import User
from core_apps.messaging.background import queue_message
from core_apps.messaging.campaigns import create_campaign, queue_next, start
from core_apps.messaging.models import Campaign, Consent, Message, Purpose, Suppression, Wording
from core_apps.messaging.suppression import build_unsubscribe_url, hash_address, suppress
from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks
from customers.models import Customer
from customers.services.customers import archive_customers
from customers.tests.factories import make_customer, make_visit

pytestmark = pytest.mark.django_db


@pytest.fixture
def wording() -> Wording:
    return Wording.objects.create(purpose="visit", language="en", text="I agree to get e-mails about my visit.")


@pytest.fixture
def news() -> Wording:
    return Wording.objects.create(purpose="news", language="en", text="I agree to get news.")


def agree(customer: Customer, wording: Wording, **values) -> Consent:
    return Consent.objects.create(recipient=customer, wording=wording, method="spoken", **values)


def queue(customer: Customer, purpose: str = "visit", key: str = "one") -> None:
    values = {"language": "en", "subject": "Thank you", "text": "Dear Ingrid"}
    queue_message(key, recipient=customer, purpose=purpose, **values)


def send(customer: Customer, purpose: str = "visit", key: str = "one") -> None:
    queue(customer, purpose, key)
    run_due_tasks("emails")


def read(*fields: str) -> list[tuple[str, ...]]:
    return list(Message.objects.order_by("pk").values_list(*fields))


def test_message_is_sent_and_says_why_what_and_when(wording):
    customer = make_customer()
    consent = agree(customer, wording)

    send(customer)

    url = build_unsubscribe_url("ingrid@nordlys.example", "visit")
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ingrid@nordlys.example"], "Thank you")
    assert sent.body == f"Dear Ingrid\n\n-- \nIf you want no more messages of this kind:\n{url}\n"
    assert (sent.extra_headers["List-Unsubscribe"], sent.extra_headers["List-Unsubscribe-Post"]) == (
        f"<{url}>",
        "List-Unsubscribe=One-Click",
    )
    message = Message.objects.get()
    assert (message.state, message.consent, message.address) == ("sent", consent, "ingrid@nordlys.example")
    assert message.sending_at
    assert message.finished_at
    assert message.created_at <= message.sending_at <= message.finished_at


def test_message_with_a_key_that_exists_is_not_queued_again(wording):
    customer = make_customer()
    agree(customer, wording)

    send(customer)
    send(customer)

    assert (len(mail.outbox), Message.objects.count()) == (1, 1)


def withdraw(customer, wording):
    agree(customer, wording, given=False)


def unsubscribe(customer, wording):
    suppress(hash_address(customer.email), "visit")


def archive(customer, wording):
    archive_customers(Customer.objects.filter(pk=customer.pk))


def remove_address(customer, wording):
    Customer.objects.filter(pk=customer.pk).update(email="")


@pytest.mark.parametrize(
    ("objection", "reason"),
    [
        (withdraw, "The person has not agreed, or has withdrawn the consent."),
        (unsubscribe, "The person has unsubscribed."),
        (archive, "The person is archived, or has no e-mail address."),
        (remove_address, "The person is archived, or has no e-mail address."),
    ],
)
def test_message_is_not_sent_after_an_objection_since_it_was_queued(objection, reason, wording):
    customer = make_customer()
    agree(customer, wording)

    queue(customer)
    objection(customer, wording)
    run_due_tasks("emails")

    assert (mail.outbox, read("state", "error")) == ([], [("refused", reason)])


def test_consent_counts_by_when_it_was_given_and_not_when_it_was_recorded(wording):
    customer, now = make_customer(), timezone.now()
    agree(customer, wording, given=False, at=now)
    agree(customer, wording, at=now - timedelta(hours=1))  # from a phone that had no connection

    send(customer)

    assert mail.outbox == []


def test_consent_to_one_purpose_is_none_to_another(wording):
    customer = make_customer()
    agree(customer, wording)

    send(customer, "news")

    assert mail.outbox == []


def test_message_goes_to_the_address_of_the_moment(wording):
    customer = make_customer()
    agree(customer, wording)

    queue(customer)
    Customer.objects.update(email="new@nordlys.example")
    run_due_tasks("emails")

    assert [sent.to for sent in mail.outbox] == [["new@nordlys.example"]]
    assert Consent.objects.get().address == "ingrid@nordlys.example"


def test_message_of_an_erased_person_is_gone_and_not_sent(wording):
    customer = make_customer()
    agree(customer, wording)

    queue(customer)
    customer.delete()
    run_due_tasks("emails")

    assert (mail.outbox, Message.objects.count(), Consent.objects.count()) == ([], 0, 0)
    assert list(Task.objects.values_list("state", flat=True)) == ["done"]


def test_site_without_a_mail_server_does_not_claim_to_have_sent_a_message(wording, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    customer = make_customer()
    agree(customer, wording)

    send(customer)

    assert read("state", "error") == [("failed", "The site cannot send e-mail: EMAIL_HOST is not set.")]


def test_message_waits_with_the_reply_of_the_mail_server(wording, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    customer = make_customer()
    agree(customer, wording)

    send(customer)

    assert read("state", "error") == [("queued", "ConnectionRefusedError: [Errno 111] Connection refused")]


def test_nothing_is_sent_with_another_key_of_the_suppressions(wording, settings):
    customer = make_customer()
    agree(customer, wording)
    suppress(hash_address("somebody@example.com"), "visit")
    settings.SUPPRESSION_KEY = "another key"

    send(customer)

    assert (mail.outbox, read("state")) == ([], [("queued",)])
    assert Task.objects.get().error.startswith("SUPPRESSION_KEY is not the key")


def test_team_records_a_withdrawal_on_the_page_of_a_customer(wording, exhibition, member_of, client_of):
    customer = make_visit(exhibition=exhibition).customer
    person = member_of("Stand staff", exhibition)
    agree(customer, wording)
    form = {"recipient": customer.pk, "wording": wording.pk, "method": "written"}

    response = client_of(person).post(reverse("admin:messaging_consent_add"), form, secure=True)

    assert response.headers["Location"] == reverse("admin:customers_customer_change", args=[customer.pk])
    recorded = Consent.objects.values_list("given", "method", "by", "address").last()
    assert recorded == (False, "written", person.pk, "ingrid@nordlys.example")


def test_team_records_no_consent_of_a_customer_out_of_sight(wording, exhibition, member_of, client_of):
    form = {"recipient": make_customer().pk, "wording": wording.pk, "method": "written", "given": "on"}

    client = client_of(member_of("Stand staff", exhibition))
    response = client.post(reverse("admin:messaging_consent_add"), form, secure=True)

    assert (list(response.context["adminform"].errors), Consent.objects.count()) == (["recipient"], 0)


def test_nobody_changes_or_deletes_evidence(wording, alice, client_of):
    customer = make_customer()
    consent = agree(customer, wording)
    send(customer)
    rows = {"consent": consent.pk, "wording": wording.pk, "message": Message.objects.get().pk}

    statuses = {
        (model, kind): client_of(alice).post(reverse(f"admin:messaging_{model}_{kind}", args=[key]), {}, secure=True)
        for model, key in rows.items()
        for kind in ("change", "delete")
    }

    assert {response.status_code for response in statuses.values()} == {403}


def test_manager_deletes_a_customer_with_consents_and_messages(wording, member_of, client_of):
    customer = make_customer()
    agree(customer, wording)
    send(customer)

    page = reverse("admin:customers_customer_delete", args=[customer.pk])
    client_of(member_of("Manager")).post(page, {"post": "yes"}, secure=True)

    assert [model.objects.count() for model in (Customer, Consent, Message)] == [0, 0, 0]


def test_lists_of_evidence_have_no_actions(wording, alice, client_of):
    customer = make_customer()
    agree(customer, wording)
    send(customer)
    client = client_of(alice)

    for model in (Consent, Message):
        page = reverse(f"admin:messaging_{model._meta.model_name}_changelist")
        selected = {"action": "delete_selected", "_selected_action": [model.objects.get().pk], "post": "yes"}
        client.post(page, selected, secure=True)

    assert (Consent.objects.count(), Message.objects.count()) == (1, 1)


def test_page_of_a_message_shows_what_was_sent(wording, alice, client_of):
    customer = make_customer()
    agree(customer, wording)
    send(customer)

    response = client_of(alice).get(
        reverse("admin:messaging_message_change", args=[Message.objects.get().pk]), secure=True
    )

    assert build_unsubscribe_url(customer.email, "visit") in response.text


def test_messages_of_other_exhibitions_are_out_of_sight(wording, exhibition, member_of, client_of):
    mine, other = make_visit(exhibition=exhibition).customer, make_customer(email="jon@example.com")
    for person in (mine, other):
        agree(person, wording)
        send(person, key=person.email)

    client = client_of(member_of("Stand staff", exhibition))
    pages = {model: reverse(f"admin:messaging_{model}_changelist") for model in ("consent", "message")}
    lists = {model: client.get(page, secure=True).context["cl"].result_list for model, page in pages.items()}

    assert {model: [row.recipient for row in rows] for model, rows in lists.items()} == {
        "consent": [mine],
        "message": [mine],
    }


def test_page_of_a_customer_tells_of_consent_messages_and_unsubscribing(wording, alice, client_of):
    customer = make_customer()
    agree(customer, wording, by=alice)
    send(customer)
    unsubscribe(customer, wording)

    context = client_of(alice).get(reverse("admin:customers_customer_change", args=[customer.pk]), secure=True).context

    assert [(entry.kind, entry.text, entry.note, entry.by) for entry in context["timeline"][:2]] == [
        ("message", "E-mail, Messages about a visit: Sent", "Thank you", ""),
        ("consent", "E-mail, Messages about a visit: given", "", "Alice, Spoken"),
    ]
    assert context["unsubscribed"] == ["Messages about a visit (E-mail)"]


def test_new_wording_is_the_next_version_and_the_form_shows_it():
    Wording.objects.all().delete()
    for purpose, language, text in (
        ("visit", "en", "Old"),
        ("visit", "en", "New"),
        ("visit", "de", "Deutsch"),
        ("news", "en", "News"),
    ):
        Wording.objects.create(purpose=purpose, language=language, text=text)

    shown = {language: [str(row) for row in Wording.objects.choose(language)] for language in ("en-gb", "de")}

    assert shown == {
        "en-gb": ["Messages about a visit (E-mail, en, 2)", "News and offers (E-mail, en, 1)"],
        "de": ["Messages about a visit (E-mail, de, 1)", "News and offers (E-mail, en, 1)"],
    }


# Unsubscribing


def test_get_of_the_link_unsubscribes_nobody(wording):
    customer = make_customer()
    url = build_unsubscribe_url(customer.email, "visit")

    statuses = {Client().get(url, secure=True).status_code for _ in range(500)}

    assert (statuses, Suppression.objects.count()) == ({200}, 0)


def test_post_without_cookies_unsubscribes_that_person_from_that_purpose(wording, news):
    people = [make_customer(), make_customer(email="jon@example.com")]
    for person in people:
        agree(person, wording)
        agree(person, news)

    response = Client(enforce_csrf_checks=True).post(
        build_unsubscribe_url(people[0].email, "visit"), {"List-Unsubscribe": "One-Click"}, secure=True
    )
    for person in people:
        for purpose in Purpose.values:
            send(person, purpose, f"{person.pk}:{purpose}")

    assert (response.status_code, "You are unsubscribed" in response.text) == (200, True)
    assert read("recipient__email", "purpose", "state") == [
        ("ingrid@nordlys.example", "visit", "refused"),
        ("ingrid@nordlys.example", "news", "sent"),
        ("jon@example.com", "visit", "sent"),
        ("jon@example.com", "news", "sent"),
    ]


def test_person_who_unsubscribed_by_mistake_can_undo_it():
    url = build_unsubscribe_url("ingrid@nordlys.example", "visit")

    Client().post(url, secure=True)
    response = Client().post(url, {"undo": "1"}, secure=True)

    assert ("Do you want to get no more" in response.text, Suppression.objects.count()) == (True, 0)


@pytest.mark.parametrize("token", ["nonsense", "a:b:c", "WyJ4Il0:1:x"])
def test_link_that_is_not_ours_unsubscribes_nobody(token):
    url = reverse("unsubscribe", args=[token])

    responses = [Client().get(url, secure=True), Client().post(url, secure=True)]

    assert [response.status_code for response in responses] == [404, 404]
    assert ("Reply to the message" in responses[0].text, Suppression.objects.count()) == (True, 0)


def test_link_stays_valid_when_the_secret_key_changes(settings):
    url = build_unsubscribe_url("ingrid@nordlys.example", "visit")
    settings.SECRET_KEY = "another" * 8

    Client().post(url, secure=True)

    assert Suppression.objects.get().digest == hash_address("ingrid@nordlys.example")


def test_suppression_outlives_erasure_and_another_import(wording):
    customer = make_customer()
    Client().post(build_unsubscribe_url(customer.email, "visit"), secure=True)
    customer.delete()

    again = make_customer(email="Ingrid@Nordlys.example")
    agree(again, wording)
    send(again)

    assert (mail.outbox, read("state")) == ([], [("refused",)])


# Random


@pytest.mark.parametrize("seed", range(10))
def test_only_who_agrees_gets_messages_and_everybody_a_password_reset(seed, wording, news):
    """Beside a simple model of what is allowed."""
    chance = random.Random(seed)
    wordings = {"visit": wording, "news": news}
    people = {number: make_customer(email=f"p{number}@example.com") for number in range(4)}
    agreed, unsubscribed, expected = set(), set(), []
    moment = timezone.now() - timedelta(days=1)
    for step in range(60):
        number, purpose = chance.randrange(4), chance.choice(Purpose.values)
        person, one = people[number], (number, purpose)
        match chance.randrange(7):
            case 0 | 1:
                agree(person, wordings[purpose], at=moment + timedelta(seconds=step))
                agreed.add(one)
            case 2:
                agree(person, wordings[purpose], given=False, at=moment + timedelta(seconds=step))
                agreed.discard(one)
            case 3:
                Client().post(build_unsubscribe_url(person.email, purpose), secure=True)
                unsubscribed.add(one)
            case 4:
                person.delete()
                people[number] = make_customer(email=f"p{number}@example.com")
                agreed -= {(number, each) for each in Purpose.values}
            case 5:
                queue(person, purpose, f"{step}")
                if one in agreed - unsubscribed and chance.random() < 0.3:
                    agree(person, wordings[purpose], given=False, at=moment + timedelta(seconds=step))
                    agreed.discard(one)
                if one in agreed - unsubscribed:
                    expected.append(person.email)
                run_due_tasks("emails")
            case 6:
                campaign = create_campaign(Customer.objects.all(), None)
                Campaign.objects.filter(pk=campaign.pk).update(subject="News", text="Dear {given_name}")
                start(campaign)
                queue_next(campaign.pk)
                if chance.random() < 0.3:
                    agree(person, news, given=False, at=moment + timedelta(seconds=step))
                    agreed.discard((number, "news"))
                allowed = agreed - unsubscribed
                expected += [people[each].email for each in people if (each, "news") in allowed]
                run_due_tasks("emails")
    User.objects.create_user("p0@example.com", "a harbour full of lamps")
    for purpose in Purpose.values:
        Client().post(build_unsubscribe_url("p0@example.com", purpose), secure=True)
    Client().post(reverse("admin_password_reset"), {"email": "p0@example.com"}, secure=True)
    run_due_tasks("emails")

    assert Counter(sent.to[0] for sent in mail.outbox) == Counter([*expected, "p0@example.com"])

"""Campaigns: an e-mail to the people of a list."""

from datetime import timedelta

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.background import send_password_reset
from core_apps.messaging.campaigns import build_sample, create_campaign, pause, queue_campaigns, queue_next, start, stop
from core_apps.messaging.models import Campaign, Consent, Message, Wording
from core_apps.messaging.suppression import hash_address, suppress
from core_apps.tasks.models import Task
from core_apps.tasks.running import run_due_tasks, run_next
from customers.models import Customer
from customers.services.customers import archive_customers
from customers.tests.factories import make_company, make_customer

pytestmark = pytest.mark.django_db


@pytest.fixture
def news() -> Wording:
    return Wording.objects.create(purpose="news", language="en", text="I agree to get news.")


def make_people(count: int, wording: Wording) -> list[Customer]:
    people = [make_customer(given_name=f"Person {n}", email=f"p{n}@example.com") for n in range(count)]
    for person in people:
        Consent.objects.create(recipient=person, wording=wording, method="spoken")
    return people


def make_campaign(owner, **values) -> Campaign:
    campaign = create_campaign(Customer.objects.all(), owner)
    Campaign.objects.filter(pk=campaign.pk).update(
        **{"subject": "News for {given_name}", "text": "Dear {given_name|visitor}", "per_minute": 100} | values
    )
    campaign.refresh_from_db()
    return campaign


def send_minute(campaign: Campaign) -> int:
    """The number of e-mails that left."""
    before = len(mail.outbox)
    queue_next(campaign.pk)
    run_due_tasks("emails")
    return len(mail.outbox) - before


def read_state(campaign: Campaign) -> str:
    return Campaign.objects.get(pk=campaign.pk).state


def test_campaign_reaches_each_person_once_at_its_rate(news, alice):
    make_people(5, news)
    campaign = make_campaign(alice, per_minute=2)

    assert send_minute(campaign) == 0  # not started
    assert start(campaign)
    assert [send_minute(campaign) for _ in range(4)] == [2, 2, 1, 0]

    assert read_state(campaign) == "done"
    assert sorted(sent.to[0] for sent in mail.outbox) == [f"p{n}@example.com" for n in range(5)]
    assert mail.outbox[0].subject == "News for Person 0"
    assert "List-Unsubscribe" in mail.outbox[0].extra_headers


def test_minutes_without_a_worker_are_not_made_up_at_once(news, alice):
    make_people(5, news)
    start(make_campaign(alice, per_minute=2))
    for minute in range(3):
        queue_campaigns.enqueue(key=f"minute:{minute}")

    run_due_tasks("emails")

    assert len(mail.outbox) == 2


def test_campaign_reaches_only_who_agrees_when_it_leaves(news, alice):
    agreed, withdrawn, archived, unsubscribed, moved = make_people(5, news)
    make_customer(given_name="Silent", email="silent@example.com")
    campaign = make_campaign(alice)
    start(campaign)
    Consent.objects.create(recipient=withdrawn, wording=news, given=False, method="spoken")
    archive_customers(Customer.objects.filter(pk=archived.pk))
    suppress(hash_address(unsubscribed.email), "news")
    Customer.objects.filter(pk=moved.pk).update(email="")

    assert send_minute(campaign) == 1

    assert mail.outbox[0].to == [agreed.email]
    assert sorted(Message.objects.values_list("recipient", "state")) == [
        (agreed.pk, "sent"),
        (unsubscribed.pk, "refused"),
    ]


def test_who_unsubscribes_while_the_message_waits_gets_none(news, alice):
    (person,) = make_people(1, news)
    campaign = make_campaign(alice)
    start(campaign)
    queue_next(campaign.pk)

    suppress(hash_address(person.email), "news")
    run_due_tasks("emails")

    assert (mail.outbox, Message.objects.get().state) == ([], "refused")


def test_two_people_with_one_address_get_one_message(news, alice):
    make_people(1, news)
    twin = make_customer(given_name="Twin", email="p0@example.com", company=make_company())
    Consent.objects.create(recipient=twin, wording=news, method="spoken")
    campaign = make_campaign(alice)
    start(campaign)

    assert send_minute(campaign) == 1


def test_pause_keeps_back_what_waits_and_continuing_sends_it_once(news, alice):
    make_people(4, news)
    campaign = make_campaign(alice)
    start(campaign)
    queue_next(campaign.pk)
    run_next("emails")

    assert pause(campaign)
    run_due_tasks("emails")
    assert (len(mail.outbox), send_minute(campaign)) == (1, 0)

    assert start(campaign)
    assert (send_minute(campaign), send_minute(campaign)) == (3, 0)
    assert len({sent.to[0] for sent in mail.outbox}) == 4


def test_second_start_pause_or_stop_changes_nothing(news, alice):
    campaign = make_campaign(alice)

    assert [step(campaign) for step in (pause, start, start, pause, pause, stop, stop, start)] == [
        *(False, True, False, True, False, True, False, False)
    ]
    assert read_state(campaign) == "stopped"


def test_stopped_campaign_sends_nothing_more(news, alice):
    make_people(2, news)
    campaign = make_campaign(alice)
    start(campaign)
    queue_next(campaign.pk)

    stop(campaign)
    run_due_tasks("emails")

    assert (send_minute(campaign), Message.objects.count()) == (0, 0)


def test_message_whose_worker_was_killed_is_unknown_and_not_sent_again(news, alice):
    make_people(1, news)
    campaign = make_campaign(alice)
    start(campaign)
    queue_next(campaign.pk)
    Task.objects.filter(kind="messaging.send_campaign").update(state="running", due_at="2026-01-01T00:00Z", attempts=1)
    Message.objects.update(state="sending")

    assert send_minute(campaign) == 0
    assert send_minute(campaign) == 0

    assert (Message.objects.get().state, read_state(campaign)) == ("unknown", "done")


def test_password_reset_goes_before_a_campaign(news, alice):
    make_people(2, news)
    campaign = make_campaign(alice)
    start(campaign)
    queue_next(campaign.pk)
    Task.objects.update(due_at=timezone.now() - timedelta(hours=1))
    send_password_reset.enqueue(email="alice@example.com", language="en", host="localhost", https=False)
    run_next("emails")

    done = Task.objects.filter(state=Task.State.DONE).values_list("kind", flat=True)
    assert list(done) == ["accounts.password_reset"]


def test_text_with_an_unknown_field_is_refused(alice):
    with pytest.raises(ValidationError, match=r"There is no field \{name\}"):
        Campaign(subject="Hello {name}", text="x", owner=alice).full_clean()


def test_manager_writes_previews_tests_and_sends_to_a_filtered_list(client_of, news, bob):
    make_people(2, news)
    make_customer(given_name="Other", email="other@example.com")
    client = client_of(bob)
    customers = reverse("admin:customers_customer_changelist")
    selected = Customer.objects.filter(given_name__startswith="Person").values_list("pk", flat=True)

    response = client.post(customers, {"action": "write_campaign", "_selected_action": list(selected)}, secure=True)

    campaign = Campaign.objects.get()
    assert response.url == reverse("admin:messaging_campaign_change", args=[campaign.pk])
    page = reverse("admin:messaging_campaign_send", args=[campaign.pk])
    client.post(page, {"step": "start"}, secure=True)
    assert read_state(campaign) == "draft"  # without a text
    values = {"subject": "News", "text": "Dear {given_name}", "language": "en", "per_minute": "10"}
    response = client.post(response.url, values | {"_save": ""}, secure=True)
    assert response.url == page
    text = client.get(page, secure=True).content.decode()
    assert "Dear Person 0" in text
    assert "Send to 2 people" in text

    assert [client.post(page, {"step": step}, secure=True).status_code for step in ("", "sent")] == [400, 400]
    client.post(page, {"step": "test"}, secure=True)
    client.post(page, {"step": "start"}, secure=True)
    run_due_tasks("emails")
    assert [sent.to for sent in mail.outbox] == [[bob.email]]
    assert send_minute(campaign) == 2
    assert client.post(page, {"step": "start"}, secure=True).url == page
    assert send_minute(campaign) == 0


def test_text_is_not_changed_by_a_form_from_before_the_start(client_of, news, bob):
    make_people(1, news)
    campaign = make_campaign(bob)
    client = client_of(bob)
    page = reverse("admin:messaging_campaign_change", args=[campaign.pk])
    version = client.get(page, secure=True).context["adminform"].form["version"].initial
    start(campaign)

    values = {"subject": "Other", "text": "Other", "language": "en", "per_minute": "7", "version": version}
    response = client.post(page, values, secure=True)

    assert "Your changes were not saved." in response.text
    assert Campaign.objects.values_list("subject", "per_minute", "state").get() == (
        "News for {given_name}",
        100,
        "sending",
    )


def test_preview_is_of_somebody_who_agrees(news, bob):
    make_customer(given_name="Silent", email="silent@example.com")
    make_people(1, news)
    campaign = make_campaign(bob)

    samples = [build_sample(campaign, bob.email)]
    Consent.objects.all().delete()
    samples.append(build_sample(campaign, bob.email))

    assert [sample and sample.subject for sample in samples] == ["News for Person 0", "News for Silent"]


def test_stand_staff_send_no_campaigns(client_of, news, alice, member_of):
    make_people(1, news)
    campaign = make_campaign(alice)
    client = client_of(member_of("Stand staff"))

    assert client.get(reverse("admin:messaging_campaign_send", args=[campaign.pk]), secure=True).status_code == 403
    assert (
        "write_campaign" not in client.get(reverse("admin:customers_customer_changelist"), secure=True).content.decode()
    )

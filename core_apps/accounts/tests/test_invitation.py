"""An invitation is a link for choosing the first password."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core_apps.accounts.models import User
from core_apps.tasks.running import run_due_tasks

pytestmark = pytest.mark.django_db
PASSWORD = "a harbour full of lamps"


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann@example.com", name="Ann", is_staff=True, language="de")


def invite(client: Client, person: User) -> int:
    status = client.post(reverse("admin:invite", args=[person.pk]), secure=True).status_code
    run_due_tasks("emails")
    return status


def test_invited_person_chooses_a_password_and_logs_in(ann, alice, client_of, settings):
    settings.SITE_URL = "https://crm.example.com"

    assert invite(client_of(alice), ann) == 302

    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["ann@example.com"], "Ihr Konto bei Exhibition CRM")
    (link,) = re.findall(r"https://crm\.example\.com(/\S+)", str(sent.body))
    client = Client()
    form = client.get(link, secure=True)["Location"]
    client.post(form, {"new_password1": PASSWORD, "new_password2": PASSWORD}, secure=True)
    assert client.login(username="ann@example.com", password=PASSWORD)


def test_person_who_logged_in_since_gets_no_invitation(ann, alice, client_of):
    page = client_of(alice).get(reverse("admin:accounts_user_change", args=[ann.pk]), secure=True).content.decode()
    assert reverse("admin:invite", args=[ann.pk]) in page
    User.objects.filter(pk=ann.pk).update(last_login=timezone.now())

    invite(client_of(alice), ann)

    assert mail.outbox == []
    page = client_of(alice).get(reverse("admin:accounts_user_change", args=[ann.pk]), secure=True).content.decode()
    assert reverse("admin:invite", args=[ann.pk]) not in page


def test_only_who_may_change_a_user_invites(ann, alice, member_of, client_of):
    roles = ("Administrator", "Manager", "Stand staff", "Read-only")

    assert {role: invite(client_of(member_of(role)), ann) for role in roles} == {
        "Administrator": 302,
        "Manager": 403,
        "Stand staff": 403,
        "Read-only": 403,
    }
    assert invite(client_of(member_of("Administrator", name="Carl")), alice) == 403  # a superuser
    assert len(mail.outbox) == 1

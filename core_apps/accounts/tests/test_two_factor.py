"""Two-factor authentication: setting up, logging in, recovery codes, roles that require it, lost devices."""

import re
import time

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from core_apps.accounts.models import User
from core_apps.accounts.tests.conftest import PASSWORD
from core_apps.accounts.two_factor import devices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fast_passwords")]

LOGIN, CODE, SETUP = "admin:login", "admin:login_code", "admin:login_setup"
INDEX, OWN_SETUP, OFF = "admin:index", "admin:two_factor_setup", "admin:two_factor_off"
LOGGER = "core_apps.accounts.two_factor.devices"


@pytest.fixture
def protected(person):
    """Somebody with a device and recovery codes."""
    TOTPDevice.objects.create(user=person)
    devices.create_recovery_codes(person)
    return person


@pytest.fixture
def obliged(person):
    """Somebody whose role requires two-factor authentication."""
    person.groups.get().permissions.add(Permission.objects.get(codename="require_two_factor"))
    return person


def app_code(user: User, **lookup) -> str:
    """What the app shows now."""
    return f"{TOTP(TOTPDevice.objects.get(user=user, **lookup).bin_key).token():06}"


def post(client, name, data, **options):
    return client.post(reverse(name), data, secure=True, **options)


def enter_password(user: User, next_page: str = "") -> Client:
    client = Client()
    post(client, LOGIN, {"username": user.email, "password": PASSWORD, "next": next_page})
    return client


def enter_code(client: Client, code: str) -> list[str]:
    """The codes of the errors."""
    page = post(client, CODE, {"code": code})
    return [] if page.status_code == 302 else [error.code for error in page.context["form"].errors.as_data()["code"]]


def is_inside(client: Client) -> bool:
    return client.get(reverse(INDEX), secure=True).status_code == 200


def messages(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_password_alone_opens_nothing(protected):
    client = enter_password(protected)

    pages = [reverse(INDEX), "/api/v1/customers/", reverse("admin:two_factor"), reverse(SETUP)]
    assert [client.get(page, secure=True).status_code for page in pages] == [302, 401, 302, 302]


def test_code_of_the_app_leads_to_the_page_that_was_wanted(protected):
    client = Client()
    wanted = reverse("admin:customers_customer_changelist")
    page = post(client, LOGIN, {"username": protected.email, "password": PASSWORD, "next": wanted}, follow=True)

    page = client.post(page.redirect_chain[-1][0], {"code": app_code(protected)}, secure=True)
    assert (page.status_code, page["Location"]) == (302, wanted)
    assert is_inside(client)


def test_code_is_accepted_once(protected, caplog):
    code = app_code(protected)

    assert enter_code(enter_password(protected), code) == []
    assert enter_code(enter_password(protected), code) == ["wrong_code"]
    assert messages(caplog) == [f"Two-factor authentication of user {protected.pk} failed."]


def test_wrong_codes_are_slowed_down_for_the_right_ones_too(protected):
    client = enter_password(protected)

    wrong = f"{(int(app_code(protected)) + 1) % 1_000_000:06}"
    assert enter_code(client, wrong) == ["wrong_code"]
    assert enter_code(client, app_code(protected)) == ["throttled"]
    assert not is_inside(client)


def test_recovery_code_is_accepted_once(protected, caplog):
    code = StaticToken.objects.filter(device__user=protected).first().token

    first, second = enter_password(protected), enter_password(protected)
    assert (enter_code(first, code.upper()), is_inside(first)) == ([], True)
    assert (enter_code(second, code), is_inside(second)) == (["wrong_code"], False)
    assert messages(caplog) == [
        f"User {protected.pk} used a recovery code; 9 are left.",
        f"Two-factor authentication of user {protected.pk} failed.",
    ]


@pytest.mark.parametrize("change", ["late", "password", "inactive"])
def test_second_step_ends_with_what_it_began_with(protected, change):
    client = enter_password(protected)
    if change == "late":
        session = client.session
        session["pending_login"] = [*session["pending_login"][:2], int(time.time()) - 601]
        session.save()
    elif change == "password":
        protected.set_password("another long password")
        protected.save()
    else:
        User.objects.filter(pk=protected.pk).update(is_active=False)

    assert post(client, CODE, {"code": app_code(protected)})["Location"] == reverse(LOGIN)
    assert not is_inside(client)


def test_role_leads_to_setting_up_before_anything_else(obliged, caplog):
    client = enter_password(obliged)
    assert not is_inside(client)
    page = client.get(reverse(SETUP), secure=True)
    assert "<svg" in page.content.decode()

    page = post(client, SETUP, {"code": app_code(obliged)})
    codes = re.findall(r"<li><code>([a-z2-7]{8})</code>", page.content.decode())
    assert sorted(codes) == sorted(StaticToken.objects.values_list("token", flat=True))
    assert (len(codes), is_inside(client)) == (10, True)
    assert messages(caplog) == [f"User {obliged.pk} set up two-factor authentication."]


def test_wrong_code_sets_nothing_up(obliged):
    client = enter_password(obliged)
    client.get(reverse(SETUP), secure=True)

    page = post(client, SETUP, {"code": "abc"})
    assert [error.code for error in page.context["form"].errors.as_data()["code"]] == ["wrong_code"]
    assert (devices.has_device(obliged), is_inside(client)) == (False, False)


def test_role_without_the_rule_and_superuser_log_in_with_the_password(person, alice):
    alice.set_password(PASSWORD)
    alice.save()

    assert [is_inside(enter_password(user)) for user in (person, alice)] == [True, True]


def test_device_is_set_up_replaced_and_turned_off_by_its_owner(person, client_of):
    client = client_of(person)
    client.get(reverse(OWN_SETUP), secure=True)
    post(client, OWN_SETUP, {"code": app_code(person)})
    first = TOTPDevice.objects.get(user=person, confirmed=True)

    client.get(reverse(OWN_SETUP), secure=True)
    assert devices.has_device(person)
    post(client, OWN_SETUP, {"code": app_code(person, confirmed=False)})
    second = TOTPDevice.objects.get(user=person)
    assert (second.confirmed, second.key != first.key) == (True, True)

    post(client, OFF, {})
    assert (TOTPDevice.objects.count(), StaticToken.objects.count()) == (0, 0)


def test_required_device_is_not_turned_off(obliged, client_of):
    TOTPDevice.objects.create(user=obliged)

    assert post(client_of(obliged), OFF, {}).status_code == 403
    assert devices.has_device(obliged)


@pytest.mark.parametrize(("role", "status", "left"), [("Administrator", 302, False), ("Manager", 403, True)])
def test_lost_device_is_removed_by_an_administrator(protected, member_of, client_of, caplog, role, status, left):
    colleague = member_of(role)
    client = client_of(colleague)

    page = client.post(reverse("admin:remove_two_factor", args=[protected.pk]), secure=True)
    assert (page.status_code, devices.has_device(protected)) == (status, left)
    line = f"User {colleague.pk} removed the two-factor authentication of user {protected.pk}."
    assert messages(caplog) == ([] if left else [line])


def test_superusers_device_is_removed_by_no_administrator(alice, member_of, client_of):
    TOTPDevice.objects.create(user=alice)

    page = client_of(member_of("Administrator")).post(reverse("admin:remove_two_factor", args=[alice.pk]), secure=True)
    assert (page.status_code, devices.has_device(alice)) == (403, True)

"""Two-factor authentication in a browser."""

import time
from base64 import b32decode
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import Browser, StorageState, expect

from e2e.test_browser import find_axe_faults
from e2e.visiting import PHONE, LocalSite, Visitor, visiting

Visit = Callable[..., AbstractContextManager[Visitor]]
PASSWORD = "correct horse battery staple"
PEOPLE = f"""
from django.contrib.auth.models import Group, Permission
from core_apps.accounts.models import User
Group.objects.get(name="Stand staff").permissions.add(Permission.objects.get(codename="require_two_factor"))
for name in ("mona", "gert", "volker", "steffi"):
    user = User.objects.create_user(name + "@example.com", "{PASSWORD}", is_staff=True)
    user.groups.add(Group.objects.get(name="Stand staff" if name == "steffi" else "Manager"))
"""


@pytest.fixture(scope="module")
def site(local_site: LocalSite, tmp_path_factory: pytest.TempPathFactory) -> LocalSite:
    """The running site with people who know their passwords."""
    program = tmp_path_factory.mktemp("people") / "people.py"
    program.write_text(PEOPLE)
    with program.open() as file:
        run = local_site.checkout.make("manage", "ARGS=shell -v0", stdin=file.fileno())
        assert run.process.wait(60) == 0, run.output
    return local_site


@pytest.fixture
def visit_as_nobody(site: LocalSite, browser: Browser) -> Visit:
    return partial(visiting, site, browser, storage_state=StorageState(cookies=[], origins=[]))


def enter_password(visitor: Visitor, name: str) -> None:
    visitor.open("/admin/login/")
    visitor.page.locator("#id_username").fill(f"{name}@example.com")
    visitor.page.locator("#id_password").fill(PASSWORD)
    visitor.page.locator("#login-form [type=submit]").click()


def enter_code(visitor: Visitor, code: str) -> None:
    visitor.page.locator("#id_code").fill(code)
    visitor.page.locator("#content-main form [type=submit]").click()


def app_code(secret: str, *, steps: int = 0) -> str:
    """What the app shows so many half minutes from now."""
    totp = TOTP(b32decode(secret))
    totp.time = time.time() + 30 * steps
    return f"{totp.token():06}"


def read_secret(visitor: Visitor) -> str:
    return visitor.page.locator("#secret").inner_text().replace(" ", "")


def set_up(visitor: Visitor) -> tuple[str, list[str]]:
    """The key and the recovery codes."""
    secret = read_secret(visitor)
    enter_code(visitor, app_code(secret))
    expect(visitor.page.locator(".recovery-codes li")).to_have_count(10)
    return secret, visitor.page.locator(".recovery-codes li").all_inner_texts()


def expect_dashboard(visitor: Visitor) -> None:
    expect(visitor.page).to_have_url(f"{visitor.site.run.url}/admin/")


def test_device_is_set_up_and_asked_for(visit_as_nobody: Visit, site: LocalSite) -> None:
    with visit_as_nobody() as visitor:
        enter_password(visitor, "mona")
        visitor.page.get_by_role("link", name="Two-factor").click()
        visitor.page.get_by_role("link", name="Set it up").click()
        secret, recovery = set_up(visitor)

    with visit_as_nobody() as visitor:
        enter_password(visitor, "mona")
        visitor.open("/admin/customers/customer/")  # is not open yet
        assert "/admin/login/" in visitor.page.url
        enter_password(visitor, "mona")
        enter_code(visitor, app_code(secret, steps=1))
        expect_dashboard(visitor)

    for expected in (True, False):
        with visit_as_nobody() as visitor:
            enter_password(visitor, "mona")
            enter_code(visitor, recovery[0])
            if expected:
                expect_dashboard(visitor)
            else:
                expect(visitor.page.locator(".errorlist")).to_have_text("The code is wrong, or has been used already.")
    for line in ("set up two-factor authentication.", "used a recovery code; 9 are left.", "failed."):
        site.run.wait_for_output(line)


def test_role_leads_to_setting_up(visit_as_nobody: Visit) -> None:
    with visit_as_nobody() as visitor:
        enter_password(visitor, "steffi")
        expect(visitor.page.locator(".qr-code svg")).to_be_visible()
        enter_code(visitor, "000000 ")
        expect(visitor.page.locator(".errorlist")).to_have_count(1)
        visitor.open("/admin/")
        assert "/admin/login/" in visitor.page.url
        enter_password(visitor, "steffi")
        visitor.page.wait_for_timeout(1100)  # after a wrong code
        set_up(visitor)
        visitor.page.locator("#content-main a").click()
        expect_dashboard(visitor)


def test_lost_device_is_removed_by_the_administrator(visit_as_nobody: Visit, visit: Visit, site: LocalSite) -> None:
    with visit_as_nobody() as visitor:
        enter_password(visitor, "gert")
        visitor.open("/admin/two_factor/setup/")
        set_up(visitor)
    with visit() as administrator:
        administrator.open("/admin/accounts/user/?q=gert")
        administrator.page.locator("#result_list tbody th a").click()
        administrator.page.get_by_role("link", name="Remove two-factor authentication").click()
        administrator.page.locator("#content-main [type=submit]").click()
        expect(administrator.page.get_by_role("link", name="Remove two-factor authentication")).to_have_count(0)
    with visit_as_nobody() as visitor:
        enter_password(visitor, "gert")
        expect_dashboard(visitor)
    site.run.wait_for_output("removed the two-factor authentication of user")


@pytest.mark.parametrize(
    ("scheme", "locale", "device"),
    [
        ("dark", "de-DE", "phone"),
        *(
            pytest.param(*variant, marks=pytest.mark.full)
            for variant in (("light", "en-GB", "desk"), ("light", "en-GB", "phone"), ("dark", "de-DE", "desk"))
        ),
    ],
)
def test_pages_are_accessible_and_fit(scheme: str, locale: str, device: str, visit_as_nobody: Visit) -> None:
    faults: dict[str, object] = {}
    size = PHONE if device == "phone" else {"width": 1360, "height": 900}

    def look(visitor: Visitor, name: str) -> None:
        visitor.shoot(f"{name}-{device}-{scheme}-{locale[:2]}")
        wider = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        faults.update({name: found} if (found := [*find_axe_faults(visitor), *[wider] * (wider > 0)]) else {})

    with visit_as_nobody(viewport=size, color_scheme=scheme, locale=locale) as visitor:
        enter_password(visitor, "volker")
        visitor.open("/admin/two_factor/")
        look(visitor, "two-factor-off")
        visitor.open("/admin/two_factor/setup/")
        look(visitor, "two-factor-setup")
        enter_code(visitor, app_code(read_secret(visitor)))
        look(visitor, "two-factor-codes")
        visitor.open("/admin/two_factor/")
        look(visitor, "two-factor-on")
        visitor.open("/admin/confirm_password/")
        look(visitor, "confirm-password")
        visitor.open("/admin/password_change/")
        look(visitor, "password-change")
        state = visitor.context.storage_state()
        visitor.context.clear_cookies()
        enter_password(visitor, "volker")
        look(visitor, "login-code")
        enter_code(visitor, "wrong")
        look(visitor, "login-code-wrong")
        visitor.context.add_cookies(state["cookies"])
        visitor.open("/admin/two_factor/")
        visitor.page.locator("form[action$='/off/'] [type=submit]").click()
    assert faults == {}

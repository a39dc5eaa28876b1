"""The working day in a browser: at a desk and on a phone, in light and dark, in English and German."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

from e2e.visiting import PHONE, Visitor, first

Visit = Callable[..., AbstractContextManager[Visitor]]
PAGES = {
    "dashboard": "/admin/",
    "customers": "/admin/customers/customer/",
    "customer": "/admin/customers/customer/{customer}/change/",
    "follow-ups": "/admin/customers/followup/?state=all",
    "delete": "/admin/customers/visit/{visit}/delete/",
    "capture": "/admin/capture/",
    "history": "/admin/customers/customer/{customer}/history/",
    "users": "/admin/accounts/user/",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_serious_fault_of_accessibility(scheme: str, visit: Visit) -> None:
    axe, found = Axe(), []
    with visit(color_scheme=scheme) as visitor:
        rows = {model: first(visitor, model) for model in ("customer", "visit")}
        for name, address in PAGES.items():
            visitor.open(address.format(**rows))
            found += [f"{name}: {fault}" for fault in serious_faults(axe, visitor)]
            visitor.shoot(f"{name}-desk-{scheme}")
        visitor.context.clear_cookies()
        visitor.open("/admin/login/")
        found += [f"login: {fault}" for fault in serious_faults(axe, visitor)]
        visitor.shoot(f"login-desk-{scheme}")
    assert found == []


def serious_faults(axe: Axe, visitor: Visitor) -> list[str]:
    heard = len(visitor.faults)
    violations = axe.run(visitor.page).response["violations"]
    visitor.page.wait_for_timeout(50)
    del visitor.faults[heard:]  # its own inline styles, which the policy refuses
    return [
        f"{violation['id']} at {[node['target'] for node in violation['nodes']]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_no_wider_than_a_phone(scheme: str, visit: Visit) -> None:
    wider = {}
    with visit(viewport=PHONE, color_scheme=scheme) as visitor:
        rows = {model: first(visitor, model) for model in ("customer", "visit")}
        for name, address in PAGES.items():
            visitor.open(address.format(**rows))
            visitor.shoot(f"{name}-phone-{scheme}")
            wider[name] = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert {name: pixels for name, pixels in wider.items() if pixels > 0} == {}


def test_dark_is_the_devices_choice_until_the_person_makes_another(visit: Visit) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with visit(color_scheme="dark") as visitor:
        visitor.open("/admin/")
        dark = visitor.page.evaluate(background)
        visitor.page.locator(".theme-toggle").click()  # auto becomes light where the device is dark
        light = visitor.page.evaluate(background)
        visitor.page.reload()
        assert (visitor.page.evaluate(background), light != dark) == (light, True)


def test_keyboard_reaches_the_content_and_shows_where_it_is(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open("/admin/")
        visitor.page.keyboard.press("Tab")
        expect(visitor.page.locator(".skip-to-content-link")).to_be_focused()
        visitor.page.keyboard.press("Enter")
        visitor.page.keyboard.press("Tab")
        expect(visitor.page.get_by_role("link", name="Capture a visit")).to_be_focused()
        width = visitor.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width == "2px"


def test_german_is_chosen_by_the_person_and_stays(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open("/admin/")
        visitor.page.get_by_role("button", name="Deutsch").click()
        expect(visitor.page.get_by_role("heading", name="Überfällige Wiedervorlagen")).to_be_visible()
        visitor.shoot("dashboard-desk-german")
        visitor.open("/admin/capture/")
        expect(visitor.page.locator("html")).to_have_attribute("lang", "de")
        expect(visitor.page.get_by_role("button", name="Besuch speichern")).to_be_visible()
        visitor.page.set_viewport_size({"width": 390, "height": 844})
        visitor.shoot("capture-phone-german")


def test_german_is_the_language_of_a_german_browser(visit: Visit) -> None:
    with visit(locale="de-DE") as visitor:
        visitor.open("/admin/customers/customer/")
        expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Kunde zur Änderung auswählen")
        visitor.shoot("customers-desk-german")


# The day


def test_search_finds_a_customer(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open("/admin/customers/customer/")
        visitor.page.locator("#searchbar").fill("falkenb ingr")
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator("#result_list tbody tr")).to_have_count(1)
        expect(visitor.page.locator("#result_list tbody th")).to_have_text("Ingrid Falkenberg")


def test_follow_up_is_done_by_one_click_on_the_first_screen(visit: Visit) -> None:
    with visit() as visitor:
        customer = first(visitor, "customer")
        visitor.open(f"/admin/customers/followup/add/?customer={customer}&due_at_0=2026-01-05&due_at_1=09:00")
        visitor.page.locator("[name=due_at_0]").fill("2026-01-05")
        visitor.page.locator("[name=due_at_1]").fill("09:00")
        visitor.page.get_by_role("button", name="Save", exact=True).click()
        visitor.open("/admin/")
        waiting = visitor.page.locator("#overdue li", has_text="Ingrid Falkenberg")
        expect(waiting).to_have_count(1)
        waiting.get_by_role("button", name="Done").click()
        expect(waiting).to_have_count(0)
        expect(visitor.page).to_have_url(f"{visitor.site.run.url}/admin/")


def test_photo_goes_up_and_is_shown(visit: Visit) -> None:
    picture = BytesIO()
    Image.new("RGB", (400, 300), "teal").save(picture, "PNG")
    with visit() as visitor:
        visitor.open(f"/admin/customers/customer/{first(visitor, 'customer')}/change/")
        file = {"name": "badge.png", "mimeType": "image/png", "buffer": picture.getvalue()}
        visitor.page.locator("[name=photo]").set_input_files(files=[file])
        visitor.page.get_by_role("button", name="Save and continue editing").click()
        shown = visitor.page.locator(".photo img")
        expect(shown).to_be_visible()
        assert shown.evaluate("image => image.naturalWidth") == 160
        visitor.shoot("customer-with-photo")


def test_export_is_downloaded(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open("/admin/customers/customer/?q=falkenberg")
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("link", name="CSV").click()
        text = download.value.path().read_text(encoding="utf-8-sig")
        assert (download.value.suggested_filename[-4:], "Ingrid" in text, "Moriyama" in text) == (".csv", True, False)

"""The working day in a browser: at a desk and on a phone, in light and dark, in English and German."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from e2e.checkout import SOURCE
from e2e.page_faults import axe_faults, html_faults
from e2e.visiting import DESK, PHONE, Visitor, first

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
OTHER_PAGES = {
    "exhibition": "/admin/customers/exhibition/add/",
    "follow-up": "/admin/customers/followup/add/",
    "done": "/admin/customers/followup/{followup}/done/",
    "user": "/admin/accounts/user/1/change/",
    "password": "/admin/password_change/",
    "two-factor": "/admin/two_factor/",
}
# What matters in a list, on a phone too.
LISTS = {
    "customers/customer": ["name", "grade", "next_follow_up"],
    "customers/visit": ["customer", "local_time", "grade"],
    "customers/followup": ["customer", "due_at", "done"],
    "customers/company": ["name", "domain"],
    "customers/exhibition": ["name", "edition", "starts_on"],
    "accounts/user": ["email", "name", "is_active"],
}


@pytest.mark.parametrize(("device", "viewport", "scheme"), [("desk", DESK, "light"), ("phone", PHONE, "dark")])
def test_pages_have_no_fault_of_accessibility(device: str, viewport: dict[str, int], scheme: str, visit: Visit) -> None:
    found = []
    with visit(viewport=viewport, color_scheme=scheme) as visitor:
        rows = {model: first(visitor, model) for model in ("customer", "visit", "followup")}
        for name, address in (PAGES | OTHER_PAGES).items():
            visitor.open(address.format(**rows))
            found += [f"{name}: {fault}" for fault in find_axe_faults(visitor)]
            visitor.shoot(f"{name}-{device}-{scheme}")
        visitor.context.clear_cookies()
        visitor.open("/admin/login/")
        found += [f"login: {fault}" for fault in find_axe_faults(visitor)]
        visitor.shoot(f"login-{device}-{scheme}")
    assert found == []


def find_axe_faults(visitor: Visitor) -> list[str]:
    heard = len(visitor.faults)
    found = axe_faults(visitor.page)
    visitor.page.wait_for_timeout(50)
    del visitor.faults[heard:]  # its own inline styles, which the policy refuses
    return found


@pytest.mark.parametrize("page", sorted((SOURCE / "nginx" / "pages").glob("*.html")), ids=lambda page: page.stem)
def test_page_of_nginx_has_no_fault(page: Path, browser: Browser, tmp_path: Path) -> None:
    shown = browser.new_page()
    shown.goto(page.as_uri())
    found = axe_faults(shown)
    shown.close()
    assert (found, html_faults({page.name: page.read_text()}, tmp_path)) == ([], {})


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


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
@pytest.mark.parametrize("width", [390, 1360])
def test_lists_fit_into_the_window(width: int, locale: str, visit: Visit) -> None:
    wider = (
        "[document.documentElement, document.querySelector('.results')].map(one => one.scrollWidth - one.clientWidth)"
    )
    found = {}
    with visit(viewport={"width": width, "height": 844}, locale=locale) as visitor:
        for model, columns in LISTS.items():
            visitor.open(f"/admin/{model}/")
            visitor.shoot(f"{model.partition('/')[2]}s-{width}-{locale}")
            hidden = [
                one for one in columns if not visitor.page.locator(f"#result_list .field-{one}").first.is_visible()
            ]
            found[model] = [visitor.page.evaluate(wider), hidden]
    assert found == {model: [[0, 0], []] for model in LISTS}


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


def test_follow_up_is_done_with_its_outcome_from_the_first_screen(visit: Visit) -> None:
    with visit() as visitor:
        customer = first(visitor, "customer")
        name = visitor.page.locator("#result_list tbody th").first.inner_text()
        visitor.open(f"/admin/customers/followup/add/?customer={customer}&due_at_0=2026-01-05&due_at_1=09:00")
        visitor.page.locator("[name=due_at_0]").fill("2026-01-05")
        visitor.page.locator("[name=due_at_1]").fill("09:00")
        visitor.page.get_by_role("button", name="Save", exact=True).click()
        visitor.open("/admin/")
        waiting = visitor.page.locator("#overdue li", has_text=name)
        expect(waiting).to_have_count(1)
        waiting.get_by_role("link", name="Done").click()
        visitor.page.get_by_label("Outcome").select_option("No answer")
        visitor.shoot("done-desk")
        visitor.page.get_by_role("button", name="Done").click()
        expect(waiting).to_have_count(0)
        expect(visitor.page).to_have_url(f"{visitor.site.run.url}/admin/")
        visitor.open(f"/admin/customers/customer/{customer}/change/")
        expect(visitor.page.locator(".timeline")).to_contain_text("Phone: No answer")


def test_chooser_of_visits_offers_those_of_the_customer(visit: Visit) -> None:
    with visit() as visitor:
        visitor.open(f"/admin/customers/visit/{first(visitor, 'visit')}/change/")
        visitor.page.get_by_role("link", name="Add follow-up").click()
        chooser = visitor.page.locator("#id_visit + .select2")
        offered = visitor.page.locator(".select2-results__option")
        expect(chooser).to_contain_text("Jonas Brandt")
        chooser.click()
        expect(offered.first).to_contain_text("Jonas Brandt")
        expect(offered.filter(has_not_text="Jonas Brandt")).to_have_count(0)
        visitor.page.keyboard.press("Escape")
        visitor.page.locator("#id_customer + .select2").click()
        offered.filter(has_not_text="Brandt").filter(has_text="@").first.click()
        expect(visitor.page.locator("#id_visit")).to_have_value("")


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

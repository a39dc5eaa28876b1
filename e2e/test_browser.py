"""The working day in a browser: at a desk and on a phone, in light and dark, with the connection cut.

Screenshots of what was seen are in .local/screenshots.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect

from e2e.admin_pages import LISTEN
from e2e.checkout import SOURCE, Checkout, Run

SCREENSHOTS = SOURCE / ".local" / "screenshots"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SHORTEST_TARGET = 44  # pixels: WCAG 2.2, 2.5.5
# The browser's own words for an answer that a test wants it to get, or not to get.
NO_ANSWER = re.compile(r"Failed to load resource: (net::ERR_|the server responded with a status of 40[01])")
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


@dataclass
class Site:
    """A run of the checkout, with the administrator's login."""

    checkout: Checkout
    run: Run
    state: StorageState = field(default_factory=lambda: StorageState(cookies=[], origins=[]))

    @property
    def administrator(self) -> list[str]:
        return (self.checkout.path / ".local" / "administrator.txt").read_text().split()[1::2]

    def stop(self) -> None:
        if self.run.process.poll() is None:
            self.run.press_ctrl_c()
            self.run.wait()

    def start(self) -> None:
        port = self.run.port  # the page that is open knows no other
        self.run = self.checkout.make("run", f"PORT={port}")
        self.run.port = port
        self.run.seconds_to_served()


@pytest.fixture(scope="module")
def site(checkout_of: Callable[[str], Checkout], browser: Browser) -> Iterator[Site]:
    checkout = checkout_of("second")
    run = checkout.make("run")
    run.seconds_to_served()
    site = Site(checkout, run)
    context = browser.new_context()
    log_in(context.new_page(), site)
    site.state = context.storage_state()
    yield site
    site.stop()
    checkout.assert_nothing_runs()


def log_in(page: Page, site: Site) -> None:
    email, password = site.administrator
    page.goto(f"{site.run.url}/admin/") if "/login/" not in page.url else None
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(r"/admin/(capture/)?$"))


@dataclass
class Visitor:
    """Somebody at the site; the page is theirs, and what went wrong in it is gathered."""

    site: Site
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        self.page.goto(f"{self.site.run.url}{address}")

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.fixture
def visit(site: Site, browser: Browser) -> Callable[..., Any]:
    """Opens a context of its own, logged in; nothing may have gone wrong in it but what the test allows."""

    @contextmanager
    def enter(allowed: re.Pattern[str] | None = None, **options: Any) -> Iterator[Visitor]:
        context = browser.new_context(**{"viewport": DESK, "storage_state": site.state} | options)
        visitor = Visitor(site, context, context.new_page())
        listen(visitor)
        yield visitor
        context.close()
        assert [fault for fault in visitor.faults if not (allowed and allowed.search(fault))] == []

    return enter


def listen(visitor: Visitor) -> None:
    def note(text: object) -> None:
        visitor.faults.append(str(text))

    visitor.context.expose_function("policyViolation", note)
    visitor.context.add_init_script(LISTEN)
    visitor.context.on("console", lambda message: note(message.text) if message.type in ("error", "warning") else None)
    visitor.context.on("weberror", lambda error: note(error.error))


def first(visitor: Visitor, model: str) -> str:
    """The number of the first row that the list shows."""
    visitor.open(f"/admin/customers/{model}/?q=Falkenberg")
    href = visitor.page.locator("#result_list tbody th a").first.get_attribute("href") or ""
    return re.findall(r"/(\d+)/change/", href)[0]


# Pages


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_have_no_serious_fault_of_accessibility(scheme: str, visit: Callable[..., Any]) -> None:
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
def test_pages_are_no_wider_than_a_phone(scheme: str, visit: Callable[..., Any]) -> None:
    wider = {}
    with visit(viewport=PHONE, color_scheme=scheme) as visitor:
        rows = {model: first(visitor, model) for model in ("customer", "visit")}
        for name, address in PAGES.items():
            visitor.open(address.format(**rows))
            visitor.shoot(f"{name}-phone-{scheme}")
            wider[name] = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert {name: pixels for name, pixels in wider.items() if pixels > 0} == {}


def test_dark_is_the_devices_choice_until_the_person_makes_another(visit: Callable[..., Any]) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with visit(color_scheme="dark") as visitor:
        visitor.open("/admin/")
        dark = visitor.page.evaluate(background)
        visitor.page.locator(".theme-toggle").click()  # auto becomes light where the device is dark
        light = visitor.page.evaluate(background)
        visitor.page.reload()
        assert (visitor.page.evaluate(background), light != dark) == (light, True)


def test_keyboard_reaches_the_content_and_shows_where_it_is(visit: Callable[..., Any]) -> None:
    with visit() as visitor:
        visitor.open("/admin/")
        visitor.page.keyboard.press("Tab")
        expect(visitor.page.locator(".skip-to-content-link")).to_be_focused()
        visitor.page.keyboard.press("Enter")
        visitor.page.keyboard.press("Tab")
        expect(visitor.page.get_by_role("link", name="Capture a visit")).to_be_focused()
        width = visitor.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert width == "2px"


def test_german_is_chosen_by_the_person_and_stays(visit: Callable[..., Any]) -> None:
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


def test_german_is_the_language_of_a_german_browser(visit: Callable[..., Any]) -> None:
    with visit(locale="de-DE") as visitor:
        visitor.open("/admin/customers/customer/")
        expect(visitor.page.get_by_role("heading", level=1)).to_have_text("Kunde zur Änderung auswählen")
        visitor.shoot("customers-desk-german")


# The day


def test_search_finds_a_customer(visit: Callable[..., Any]) -> None:
    with visit() as visitor:
        visitor.open("/admin/customers/customer/")
        visitor.page.locator("#searchbar").fill("falkenb ingr")
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator("#result_list tbody tr")).to_have_count(1)
        expect(visitor.page.locator("#result_list tbody th")).to_have_text("Ingrid Falkenberg")


def test_follow_up_is_done_by_one_click_on_the_first_screen(visit: Callable[..., Any]) -> None:
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


def test_photo_goes_up_and_is_shown(visit: Callable[..., Any]) -> None:
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


def test_export_is_downloaded(visit: Callable[..., Any]) -> None:
    with visit() as visitor:
        visitor.open("/admin/customers/customer/?q=falkenberg")
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("link", name="CSV").click()
        text = download.value.path().read_text(encoding="utf-8-sig")
        assert (download.value.suggested_filename[-4:], "Ingrid" in text, "Moriyama" in text) == (".csv", True, False)


# The form for a phone at the stand


def fill(visitor: Visitor, family_name: str, grade: str = "A") -> None:
    page = visitor.page
    page.get_by_role("button", name="New customer").click()
    page.get_by_label("Family name").fill(family_name)
    page.get_by_label("Company", exact=True).fill("Falkenberg Pumpen")
    page.get_by_label(re.compile(f"^{grade}:")).check(force=True)
    page.get_by_label("Note").fill("Wants a quote.")


def save(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Save the visit").click()


def captured(visitor: Visitor, family_name: str) -> int:
    """Visits that the list of the site shows."""
    page = visitor.context.new_page()
    page.goto(f"{visitor.site.run.url}/admin/customers/visit/?q={family_name}")
    count = page.locator("#result_list tbody tr").count()
    page.close()
    return count


def kept(visitor: Visitor) -> int:
    return int(visitor.page.locator("#kept").inner_text())


def test_known_customer_is_found_and_the_visit_captured(visit: Callable[..., Any]) -> None:
    with visit(viewport=PHONE, has_touch=True, is_mobile=True) as visitor:
        before = captured(visitor, "Moriyama")
        visitor.open("/admin/capture/")
        visitor.page.get_by_label("Name, company, e-mail or phone").type("moriy")
        visitor.page.locator("#hits").get_by_role("button", name="Kenji Moriyama").tap()
        visitor.page.get_by_label(re.compile("^B:")).check(force=True)
        visitor.shoot("capture-filled-phone")
        save(visitor)
        expect(visitor.page.get_by_text("Sent. Ready for the next visit.")).to_be_visible()
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert captured(visitor, "Moriyama") == before + 1


def test_everything_to_be_touched_is_large_enough_for_a_thumb(visit: Callable[..., Any]) -> None:
    heights = "found => found.map(one => [one.id || one.textContent.trim(), one.getBoundingClientRect().height])"
    with visit(viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        visitor.page.get_by_role("button", name="New customer").click()
        found = visitor.page.locator("#capture :is(button, input, select, textarea):visible").evaluate_all(heights)
        assert len(found) > 10
        assert [one for one in found if one[1] < SHORTEST_TARGET] == []


def test_visit_captured_without_a_connection_is_kept_and_sent_once_when_it_is_back(visit: Callable[..., Any]) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        visitor.context.set_offline(True)
        fill(visitor, "Offline")
        save(visitor)
        expect(visitor.page.get_by_text("They are sent as soon as there is a connection.")).to_be_visible()
        fill(visitor, "Offlinetoo", "C")
        save(visitor)
        assert kept(visitor) == 2
        visitor.shoot("capture-kept-phone")
        visitor.context.set_offline(False)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert [captured(visitor, name) for name in ("Offline", "Offlinetoo")] == [2, 1]


def test_answer_that_is_lost_on_its_way_does_not_make_a_second_visit(visit: Callable[..., Any]) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        lost = []

        def lose_the_first(route: Any) -> None:
            answer = route.fetch()
            lost.append(answer.status)
            route.abort() if len(lost) == 1 else route.fulfill(response=answer)

        visitor.page.route("**/capture/visits/", lose_the_first)
        visitor.open("/admin/capture/")
        fill(visitor, "Lost")
        save(visitor)
        expect(visitor.page.locator("#outbox")).to_be_visible()
        visitor.page.get_by_role("button", name="Send now").click()
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert (lost, captured(visitor, "Lost")) == ([201, 200], 1)


def test_what_is_typed_outlives_a_page_that_is_closed(visit: Callable[..., Any]) -> None:
    with visit(viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        fill(visitor, "Halfway", "B")
        visitor.page.close()
        visitor.page = visitor.context.new_page()
        visitor.open("/admin/capture/")
        expect(visitor.page.get_by_label("Family name")).to_have_value("Halfway")
        expect(visitor.page.get_by_label(re.compile("^B:"))).to_be_checked()


def test_refused_entry_shows_why_and_is_sent_once_corrected(visit: Callable[..., Any]) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        fill(visitor, "Refused")
        visitor.page.get_by_label("E-mail", exact=True).fill("not an address")
        save(visitor)
        reason = visitor.page.locator(".entry-reason")
        expect(reason).to_have_text("Enter a valid email address.")
        visitor.shoot("capture-refused-phone")
        visitor.page.reload()
        expect(reason).to_have_text("Enter a valid email address.")
        visitor.page.get_by_role("button", name="Correct").click()
        expect(visitor.page.get_by_label("Family name")).to_have_value("Refused")
        visitor.page.get_by_label("E-mail", exact=True).fill("right@example.com")
        save(visitor)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert captured(visitor, "Refused") == 1


def test_who_was_logged_out_loses_nothing(visit: Callable[..., Any]) -> None:
    with visit(NO_ANSWER, viewport=PHONE, storage_state=None) as visitor:
        log_in(visitor.page, visitor.site)  # a session of its own, which this test ends
        visitor.open("/admin/capture/")
        visitor.context.clear_cookies(name="sessionid")
        fill(visitor, "Loggedout")
        save(visitor)
        expect(visitor.page.get_by_text("You are logged out. Nothing is lost:")).to_be_visible()
        visitor.shoot("capture-logged-out-phone")
        visitor.page.get_by_role("link", name="Log in again").click()
        log_in(visitor.page, visitor.site)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert captured(visitor, "Loggedout") == 1


def test_entry_of_another_person_waits_for_that_person(visit: Callable[..., Any]) -> None:
    entry = {"client_uuid": "1", "person": "0", "family_name": "Somebody", "visited_at": "2026-03-11T09:30:00.000Z"}
    with visit(viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        visitor.page.evaluate("entry => localStorage.setItem('capture:entry:1', JSON.stringify(entry))", entry)
        visitor.page.reload()
        expect(visitor.page.locator("#others")).to_have_text(re.compile("that person logs in here: 1$"))
        assert (kept(visitor), captured(visitor, "Somebody")) == (0, 0)
        assert visitor.page.evaluate("JSON.parse(localStorage.getItem('capture:entry:1'))") == entry


def test_browser_that_keeps_nothing_says_so_and_sends_while_the_page_is_open(visit: Callable[..., Any]) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        visitor.context.add_init_script("Storage.prototype.setItem = () => { throw new Error('full') }")
        visitor.open("/admin/capture/")
        visitor.context.set_offline(True)
        fill(visitor, "Unkept")
        save(visitor)
        expect(visitor.page.get_by_text("This browser keeps nothing.")).to_be_visible()
        visitor.context.set_offline(False)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert captured(visitor, "Unkept") == 1


def test_entries_wait_for_a_server_that_was_stopped(visit: Callable[..., Any]) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        visitor.site.stop()
        fill(visitor, "Stopped")
        save(visitor)
        expect(visitor.page.get_by_text("They are sent as soon as there is a connection.")).to_be_visible()
        visitor.site.start()
        expect(visitor.page.locator("#outbox")).to_be_hidden(timeout=20_000)  # by itself
        assert captured(visitor, "Stopped") == 1

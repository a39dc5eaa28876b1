"""The capture form on a phone: without a connection, with a stopped server, and after logging out."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from playwright.sync_api import expect

from e2e.visiting import PHONE, Visitor, log_in

# A browser that has no room for entries.
FULL = """const setItem = Storage.prototype.setItem
Storage.prototype.setItem = function (name, value) {
  if (name.startsWith("capture:")) throw new DOMException("full", "QuotaExceededError")
  setItem.call(this, name, value)
}"""
Visit = Callable[..., AbstractContextManager[Visitor]]
SHORTEST_TARGET = 44  # pixels: WCAG 2.2, 2.5.5
# The browser's own words for an answer that a test wants it to get, or not to get.
NO_ANSWER = re.compile(r"Failed to load resource: (net::ERR_|the server responded with a status of 40[01])")


def fill(visitor: Visitor, family_name: str, grade: str = "A") -> None:
    page = visitor.page
    page.get_by_role("button", name="New customer").click()
    page.get_by_label("Family name").fill(family_name)
    page.get_by_label("Company", exact=True).fill("Falkenberg Pumpen")
    page.get_by_label(re.compile(f"^{grade}:")).check(force=True)
    page.get_by_label("Note").fill("Wants a quote.")


def save(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Save visit").click()


def count_visits(visitor: Visitor, family_name: str) -> int:
    """Return the number of visits in the list."""
    page = visitor.context.new_page()
    page.goto(f"{visitor.site.run.url}/admin/customers/visit/?q={family_name}")
    count = page.locator("#result_list tbody tr").count()
    page.close()
    return count


def count_waiting(visitor: Visitor) -> int:
    return int(visitor.page.locator("#kept").inner_text())


def test_known_customer_is_found_and_the_visit_captured(visit: Visit) -> None:
    with visit(viewport=PHONE, has_touch=True, is_mobile=True) as visitor:
        before = count_visits(visitor, "Moriyama")
        visitor.open("/admin/capture/")
        visitor.page.get_by_label("Name, company, e-mail or phone").type("moriy")
        visitor.page.locator("#hits").get_by_role("button", name="Kenji Moriyama").tap()
        visitor.page.get_by_label(re.compile("^B:")).check(force=True)
        visitor.shoot("capture-filled-phone")
        save(visitor)
        expect(visitor.page.get_by_text("Sent. Ready for the next visit.")).to_be_in_viewport()
        visitor.shoot("capture-sent-phone")
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert count_visits(visitor, "Moriyama") == before + 1


def test_everything_to_be_touched_is_large_enough_for_a_thumb(visit: Visit) -> None:
    heights = "found => found.map(one => [one.id || one.textContent.trim(), one.getBoundingClientRect().height])"
    with visit(viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        visitor.page.get_by_role("button", name="New customer").click()
        found = visitor.page.locator("#capture :is(button, input, select, textarea):visible").evaluate_all(heights)
        assert len(found) > 10
        assert [one for one in found if one[1] < SHORTEST_TARGET] == []


def test_visit_captured_without_a_connection_is_kept_and_sent_once_when_it_is_back(visit: Visit) -> None:
    with visit(NO_ANSWER, viewport=PHONE, timezone_id="Asia/Tokyo") as visitor:
        visitor.open("/admin/capture/")
        visitor.context.set_offline(True)
        visitor.page.get_by_label("Exhibition").select_option(label="SEMA Show 2026 (America/Los_Angeles)")
        fill(visitor, "Offline")
        save(visitor)
        expect(visitor.page.locator(".entry-when")).to_have_text(re.compile(r" [AP]M P[SD]T$"))
        expect(visitor.page.get_by_text("They will be sent as soon as there is a connection.")).to_be_visible()
        fill(visitor, "Offlinetoo", "C")
        save(visitor)
        assert count_waiting(visitor) == 2
        visitor.shoot("capture-kept-phone")
        visitor.context.set_offline(False)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert [count_visits(visitor, name) for name in ("Offline", "Offlinetoo")] == [2, 1]


def test_answer_that_is_lost_on_its_way_does_not_make_a_second_visit(visit: Visit) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        lost = []

        def lose_the_first(route: Any) -> None:
            answer = route.fetch()
            lost.append(answer.status)
            route.abort() if len(lost) == 1 else route.fulfill(response=answer)

        visitor.page.route("**/visits/capture/", lose_the_first)
        visitor.open("/admin/capture/")
        fill(visitor, "Lost")
        save(visitor)
        expect(visitor.page.locator("#outbox")).to_be_visible()
        visitor.page.get_by_role("button", name="Send now").click()
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert (lost, count_visits(visitor, "Lost")) == ([200, 200], 1)


def test_what_is_typed_outlives_a_page_that_is_closed(visit: Visit) -> None:
    with visit(viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        fill(visitor, "Halfway", "B")
        visitor.page.close()
        visitor.page = visitor.context.new_page()
        visitor.open("/admin/capture/")
        expect(visitor.page.get_by_label("Family name")).to_have_value("Halfway")
        expect(visitor.page.get_by_label(re.compile("^B:"))).to_be_checked()


def test_refused_entry_shows_why_and_is_sent_once_corrected(visit: Visit) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        fill(visitor, "Refused")
        visitor.page.get_by_label("E-mail", exact=True).fill("ann@example")  # which a browser accepts
        save(visitor)
        reason = visitor.page.locator(".entry-reason")
        expect(reason).to_be_in_viewport()
        expect(reason).to_have_text("Enter a valid email address.")
        visitor.shoot("capture-refused-phone")
        visitor.page.reload()
        expect(reason).to_have_text("Enter a valid email address.")
        visitor.page.get_by_role("button", name="Correct").click()
        expect(visitor.page.get_by_label("Family name")).to_have_value("Refused")
        visitor.page.get_by_label("E-mail", exact=True).fill("right@example.com")
        save(visitor)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert count_visits(visitor, "Refused") == 1


def test_form_is_checked_before_it_is_sent(visit: Visit) -> None:
    with visit(viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        page = visitor.page
        email = page.get_by_label("E-mail", exact=True)
        save(visitor)
        expect(page.locator("#who-error")).to_have_text(re.compile("^Choose a customer, or enter a name"))
        expect(page.get_by_label("Name, company, e-mail or phone")).to_be_focused()
        fill(visitor, "Unsent")
        expect(page.locator("#who-error")).to_be_empty()
        email.fill("not an address")
        page.get_by_label("Interests").fill("LED, " + "x" * 61)
        save(visitor)
        expect(email).to_be_focused()
        expect(email).to_have_accessible_description("Enter a complete e-mail address, such as ann@example.com.")
        expect(page.locator("[aria-invalid]")).to_have_count(2)
        visitor.shoot("capture-checked-phone")
        assert (count_waiting(visitor), count_visits(visitor, "Unsent")) == (0, 0)
        email.fill("unsent@example.com")
        page.get_by_label("Interests").fill("LED")
        expect(page.locator("[aria-invalid]")).to_have_count(0)
        save(visitor)
        expect(page.get_by_text("Sent. Ready for the next visit.")).to_be_in_viewport()
        assert count_visits(visitor, "Unsent") == 1


def test_who_was_logged_out_loses_nothing(visit: Visit) -> None:
    with visit(NO_ANSWER, viewport=PHONE, storage_state=None) as visitor:
        log_in(visitor.page, visitor.site)  # a session of its own, which this test ends
        visitor.open("/admin/capture/")
        visitor.context.clear_cookies(name="sessionid")
        fill(visitor, "Loggedout")
        save(visitor)
        expect(visitor.page.get_by_text("You are logged out. Your entries are stored:")).to_be_visible()
        visitor.shoot("capture-logged-out-phone")
        visitor.page.get_by_role("link", name="Log in again").click()
        log_in(visitor.page, visitor.site)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert count_visits(visitor, "Loggedout") == 1


def test_entry_of_another_person_waits_for_that_person(visit: Visit) -> None:
    entry = {"client_uuid": "1", "person": "0", "family_name": "Somebody", "visited_at": "2026-03-11T09:30:00.000Z"}
    with visit(viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        visitor.page.evaluate("entry => localStorage.setItem('capture:entry:1', JSON.stringify(entry))", entry)
        visitor.page.reload()
        expect(visitor.page.locator("#others")).to_have_text(re.compile("that user logs in here: 1$"))
        assert (count_waiting(visitor), count_visits(visitor, "Somebody")) == (0, 0)
        assert visitor.page.evaluate("JSON.parse(localStorage.getItem('capture:entry:1'))") == entry


def test_browser_that_keeps_nothing_says_so_and_sends_while_the_page_is_open(visit: Visit) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        visitor.context.add_init_script(FULL)
        visitor.open("/admin/capture/")
        visitor.context.set_offline(True)
        fill(visitor, "Unkept")
        save(visitor)
        expect(visitor.page.get_by_text("This browser cannot store entries.")).to_be_visible()
        visitor.context.set_offline(False)
        expect(visitor.page.locator("#outbox")).to_be_hidden()
        assert count_visits(visitor, "Unkept") == 1


def test_entries_wait_for_a_server_that_was_stopped(visit: Visit) -> None:
    with visit(NO_ANSWER, viewport=PHONE) as visitor:
        visitor.open("/admin/capture/")
        visitor.site.stop()
        fill(visitor, "Stopped")
        save(visitor)
        expect(visitor.page.get_by_text("They will be sent as soon as there is a connection.")).to_be_visible()
        visitor.site.start()
        expect(visitor.page.locator("#outbox")).to_be_hidden(timeout=20_000)  # by itself
        assert count_visits(visitor, "Stopped") == 1

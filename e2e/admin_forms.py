"""Fills the admin's forms in a browser: uses every widget, and leaves valid values.

What is saved is marked, so that it is found again.
"""

import re
from collections import Counter

from playwright.sync_api import Locator, Page

MARK = "policy-walk"
PASSWORD = "every page and every widget"


def settle(page: Page) -> None:
    """Wait for scripts and reports of violations, which run as separate tasks."""
    page.wait_for_load_state()
    page.evaluate("() => new Promise(done => setTimeout(done, 10))")


def fill_required(page: Page) -> None:
    """Fill required fields and names; dates already have values."""
    fields = "input[required]:visible, textarea[required]:visible"
    fields += ", input[name$=name]:visible, input[type=password]:visible"
    for entry in page.locator(f"#content-main :is({fields})").all():
        if not entry.input_value():
            entry.fill(value_for(entry))
    for choice in page.locator("#content-main select[required]:visible").all():
        if not choice.input_value():
            choice.select_option(index=1)


def value_for(entry: Locator) -> str:
    kind = f"{entry.get_attribute('type')} {entry.get_attribute('class')}"
    for pattern, value in (
        ("password", PASSWORD),
        ("email", f"{MARK}-{id(entry)}@example.com"),
        ("vDateField", "2030-01-02"),
        ("vTimeField", "10:00"),
    ):
        if pattern in kind:
            return value
    return f"{MARK} {id(entry)}"


def use_widgets(page: Page, used: Counter[str]) -> None:
    """Use every widget of the form, and leave valid values."""
    for name, selector, use in (
        ("fieldset to unfold", "details:not([open]) > summary", Locator.click),
        ("inline to add", ".add-row a", Locator.click),
        ("date or time shortcut", ".datetimeshortcuts > a:first-child", Locator.click),
        ("calendar", "a[id^=calendarlink]", pick_day),
        ("clock", "a[id^=clocklink]", pick_time),
        ("password choice", "[name=usable_password]", Locator.check),
        ("choice of many", ".selector", choose_many),
        ("autocomplete", ".select2-selection", autocomplete),
        ("popup", "a.related-widget-wrapper-link[href][data-popup]", use_popup),
        ("inline to remove", ".inline-deletelink", Locator.click),
        # Chosen before a popup has changed what it has to fit to.
        ("choice to clear", ".form-row:not(:has(label.required)) .select2-selection__clear", clear_choice),
    ):
        for widget in reversed(page.locator(f"#content-main :is({selector}):visible").all()):
            use(widget)
            used[name] += 1
    settle(page)


def pick_day(link: Locator) -> None:
    """Pick a past day: visits are not in the future."""
    link.click()
    calendar = link.page.locator(".calendarbox:visible")
    calendar.locator(".calendarnav-previous").click()
    calendar.locator("td a", has_text=re.compile(r"^15$")).click()


def pick_time(link: Locator) -> None:
    link.click()
    link.page.locator(".clockbox:visible .timelist a").first.click()


def choose_many(selector: Locator) -> None:
    selector.locator(".selector-filter input").first.fill("view")
    for button in (".selector-chooseall", ".selector-clearall"):
        if selector.locator(button).is_enabled():
            selector.locator(button).click()


def autocomplete(selection: Locator) -> None:
    """Search and choose the first row, or close the list if there is none."""
    page = selection.page
    selection.click()
    page.locator(".select2-container--open .select2-search__field").fill("a")
    results = page.locator(".select2-results__option:not(.loading-results)")
    results.first.wait_for()
    settle(page)
    if page.locator(".select2-results__option[aria-selected]").count():
        page.locator(".select2-results__option[aria-selected]").first.click()
    else:
        page.keyboard.press("Escape")


def clear_choice(cross: Locator) -> None:
    """Clear the choice, and close the list, which would cover the next click."""
    cross.click()
    cross.page.keyboard.press("Escape")


def use_popup(link: Locator) -> None:
    """Add a related row in its popup; only look at other popups."""
    with link.page.expect_popup() as opened:
        link.click()
    popup = opened.value
    settle(popup)
    choices = popup.locator(".form-row:has(label.required) select.admin-autocomplete")
    # What belongs to a row that is not marked would not be found again.
    belongs_to_others = choices.evaluate_all("choices => choices.some(choice => !choice.value)")
    if belongs_to_others or "add-related" not in (link.get_attribute("class") or ""):
        popup.close()
        return
    fill_required(popup)
    with popup.expect_event("close"):
        popup.locator("input[name=_save]").click()

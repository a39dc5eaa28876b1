import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from e2e.admin_pages import Walk, walk
from e2e.checkout import Checkout, Run
from e2e.page_faults import axe_faults, html_faults
from e2e.visiting import DESK, PHONE

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# What a walk that means something has used; fewer would be a walk past the widgets.
WIDGETS = {
    "action",
    "autocomplete",
    "calendar",
    "choice of many",
    "choice to clear",
    "clock",
    "date or time shortcut",
    "filter",
    "password choice",
    "popup",
}


@pytest.fixture
def checkout(checkout_of: Callable[[str], Checkout]) -> Checkout:
    """A separate checkout: the first one tests the first start."""
    return checkout_of("second")


@pytest.fixture
def served(checkout: Checkout) -> Iterator[Run]:
    run = checkout.make("run")
    run.seconds_to_served()
    yield run
    run.press_ctrl_c()
    run.wait()
    checkout.assert_nothing_runs()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


def administrator(checkout: Checkout) -> tuple[str, str]:
    email, password = (checkout.path / ".local" / "administrator.txt").read_text().split()[1::2]
    return email, password


def reset_link(page: Page, run: Run, email: str) -> str:
    """Return the link in the e-mail that `make run` prints."""
    page.goto(f"{run.url}/admin/password_reset/")
    page.locator("input[name=email]").fill(email)
    page.locator("input[type=submit]").click()
    run.wait_for_output("/reset/")
    return re.findall(r"https?://\S+/reset/\S+", run.output)[-1]


def test_every_page_of_the_admin_keeps_to_the_policy_and_is_valid(
    checkout: Checkout, served: Run, page: Page, tmp_path: Path
) -> None:
    seen = Walk(page, served.url)
    walk(seen, *administrator(checkout), [reset_link(page, served, administrator(checkout)[0])])
    print(seen)
    assert seen.violations == []
    assert WIDGETS - set(seen.widgets) == set()
    assert len(set(seen.documents)) > 150
    assert html_faults(seen.sources, tmp_path) == {}


@pytest.mark.full
def test_every_kind_of_page_of_the_admin_is_accessible(checkout: Checkout, served: Run, page: Page) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    kinds: set[str] = set()

    def inspect(page: Page) -> None:
        kind = find_kind(page)
        for viewport, scheme in () if kind in kinds else product((PHONE, DESK), SCHEMES):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(200)  # colours of links change gradually
            for fault in axe_faults(page):
                found[fault].add(f"{page.url}, {scheme}, {viewport['width']} px")
        kinds.add(kind)

    walk(Walk(page, served.url, inspect), *administrator(checkout))
    print(f"{len(kinds)} kinds of pages")
    assert found == {}


def find_kind(page: Page) -> str:
    """Return the path without ids, and whether it shows errors: pages of one kind share a template."""
    path = re.sub(r"/[\w-]*\d[\w-]*/", "/ID/", urlsplit(page.url).path)
    return f"{path} {page.locator('.errornote, .errorlist').count() > 0}"

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from e2e.admin_pages import walk
from e2e.checkout import Checkout, Run

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
    """Not the first one, whose very first start is a test of its own."""
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


def reset_link(page: Page, run: Run, email: str) -> str:
    """As in the mail that `make run` prints."""
    page.goto(f"{run.url}/admin/password_reset/")
    page.locator("input[name=email]").fill(email)
    page.locator("input[type=submit]").click()
    run.wait_to_say("/reset/")
    return re.findall(r"https?://\S+/reset/\S+", run.output)[-1]


def test_every_page_of_the_admin_keeps_to_the_policy(checkout: Checkout, served: Run, page: Page) -> None:
    email, password = (checkout.path / ".local" / "administrator.txt").read_text().split()[1::2]
    seen = walk(page, served.url, email, password, [reset_link(page, served, email)])
    print(seen)
    assert seen.violations == []
    assert WIDGETS - set(seen.widgets) == set()
    assert len(set(seen.documents)) > 150

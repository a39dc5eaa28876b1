"""A user in a browser at a site of `make run`; screenshots are in .local/screenshots."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, StorageState

from e2e.admin_pages import LISTEN
from e2e.checkout import SOURCE, Checkout, Run

SCREENSHOTS = SOURCE / ".local" / "screenshots"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass
class LocalSite:
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


def log_in(page: Page, site: LocalSite) -> None:
    email, password = site.administrator
    page.goto(f"{site.run.url}/admin/") if "/login/" not in page.url else None
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(re.compile(r"/admin/(capture/)?$"))


@dataclass
class Visitor:
    """A user with a browser page, whose errors are collected."""

    site: LocalSite
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        self.page.goto(f"{self.site.run.url}{address}")

    def shoot(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@contextmanager
def visiting(
    site: LocalSite, browser: Browser, allowed: re.Pattern[str] | None = None, **options: Any
) -> Iterator[Visitor]:
    """Yield a logged-in user with a browser context, and assert that only allowed errors occurred."""
    context = browser.new_context(**{"viewport": DESK, "storage_state": site.state} | options)
    visitor = Visitor(site, context, context.new_page())
    listen(visitor)
    yield visitor
    context.close()
    faults = [fault for fault in visitor.faults if not (allowed and allowed.search(fault))]
    assert faults == [], faults


def listen(visitor: Visitor) -> None:
    def note(text: object) -> None:
        visitor.faults.append(str(text))

    visitor.context.expose_function("policyViolation", note)
    visitor.context.add_init_script(LISTEN)
    visitor.context.on("console", lambda message: note(message.text) if message.type in ("error", "warning") else None)
    visitor.context.on("weberror", lambda error: note(error.error))


def first(visitor: Visitor, model: str) -> str:
    """Return the primary key of the first row in the list."""
    visitor.open(f"/admin/customers/{model}/?q=Falkenberg")
    href = visitor.page.locator("#result_list tbody th a").first.get_attribute("href") or ""
    return re.findall(r"/(\d+)/change/", href)[0]

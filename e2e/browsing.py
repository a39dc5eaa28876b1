"""Actions of a user in the browser, on any tier."""

import re
import struct
import zlib
from pathlib import Path

from playwright.sync_api import Error, Page, Response, expect

from e2e.stack import ADMINISTRATOR, PASSWORD


def open_url(page: Page, url: str) -> Response:
    try:
        response = page.goto(url)
    except Error as error:
        raise_unless_interrupted(error)
        response = page.goto(url)
    assert response
    return response


def raise_unless_interrupted(error: Error) -> None:
    """Retry: Chromium aborts requests when the networks of the machine change."""
    if "ERR_NETWORK_CHANGED" not in error.message:
        raise error


def log_in(page: Page, email: str = ADMINISTRATOR) -> None:
    open_url(page, "/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    try:
        with page.expect_navigation():
            page.get_by_role("button", name="Log in").click()
    except Error as error:
        raise_unless_interrupted(error)
        open_url(page, "/admin/")
        if "/login/" in page.url:
            log_in(page, email)
    expect(page).to_have_url(re.compile("/admin/$"))


def add_lovelace(page: Page, directory: Path) -> str:
    """Create a customer with a photo, and return its address."""
    photo = directory / "photo.png"
    photo.write_bytes(png())
    open_url(page, "/admin/customers/customer/add/")
    page.get_by_label("Family name").fill("Lovelace")
    page.get_by_label("Photo").set_input_files(photo)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="Lovelace").first.click()
    return page.get_by_role("link", name="Photo of Lovelace").get_attribute("href") or ""


def png() -> bytes:
    """Return a minimal image: one black pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack("!IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")

"""Guesses of one account's password, each from an address of its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.attacks.bystander import Target, build_form, undisturbed
from e2e.load import Request, send
from e2e.site import Answer

# They measure answer times, and other work on the machine would fail them.
pytestmark = pytest.mark.full

GUESSES, LIMIT = 200, 10
REFUSED, WRONG = "Too many wrong passwords", "Please enter the correct"


def log_in(target: Target, password: str, address: str, status: int = 200, cookie: str = "") -> Answer:
    """Send the login form of staff-11 through a proxy that reports this address."""
    form = {"username": "staff-11@example.com", "password": password}
    request = build_form("/admin/login/", form, status, {"X-Forwarded-For": address}, cookie)
    sample = send(target.site, request)
    assert sample.answer
    assert sample.answer.status == status
    return sample.answer


def test_guesses_from_many_addresses_are_checked_ten_times(target: Target) -> None:
    known = log_in(target, "correct horse battery", "192.0.2.1", 302)
    device = "; ".join(
        cookie.split(";")[0] for cookie in known.headers.get_all("Set-Cookie", []) if "device_" in cookie
    )
    with undisturbed(target), ThreadPoolExecutor(4) as threads:
        guesses = threads.map(lambda n: log_in(target, f"guess {n}", f"198.51.100.{n}").text, range(GUESSES))
        pages = list(guesses)
    checked, refused = sum(WRONG in page for page in pages), sum(REFUSED in page for page in pages)
    print(f"{GUESSES} guesses: {checked} checked, {refused} refused")
    assert (checked, refused) == (LIMIT, GUESSES - LIMIT)
    assert REFUSED in log_in(target, "correct horse battery", "203.0.113.1").text
    log_in(target, "correct horse battery", "203.0.113.2", 302, device)  # the device that is known
    page = send(target.site, Request("GET", "/admin/", 200, target.cookie("staff-11")))
    assert not page.failed  # nor is a session ended

import os
import re
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from e2e.checkout import Checkout, Run, clone

AS_EACH_USER = pytest.mark.parametrize("checkout", ["self", "nobody"], indirect=True)


@pytest.fixture
def served(checkout: Checkout) -> Run:
    run = checkout.make("run")
    run.seconds_to_served()
    return run


@pytest.mark.parametrize("checkout", ["self", pytest.param("nobody", marks=pytest.mark.full)], indirect=True)
def test_first_start_serves_and_names_the_administrator_once(checkout: Checkout) -> None:
    assert len(str(checkout.path)) == 150
    first = checkout.make("run")
    print(f"first start, installation included: {first.seconds_to_served():.1f} s")
    kept = checkout.path / ".local" / "administrator.txt"
    assert re.findall(r"^Password: (\S+)$", first.output, re.MULTILINE) == [kept.read_text().split()[-1]]
    assert kept.stat().st_mode & 0o777 == 0o600
    first.press_ctrl_c()
    first.wait()
    checkout.assert_nothing_runs()

    second = checkout.make("run")
    seconds = second.seconds_to_served()
    print(f"second start: {seconds:.1f} s")
    assert "Password" not in second.output


def test_administrator_logs_in_and_sees_the_demo(checkout: Checkout, served: Run, browser: Browser) -> None:
    email, password = (checkout.path / ".local" / "administrator.txt").read_text().split()[1::2]
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{served.port + 1}/")
    expect(page.get_by_role("heading", name="WhatsApp mock")).to_be_visible()
    page.goto(served.url)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{served.url}/admin/")
    for model, counted in (("exhibition", "exhibitions"), ("customer", "customers")):
        page.goto(f"{served.url}/admin/")
        page.locator(f"#customers-{model} a").first.click()
        rows = page.locator("#result_list tbody tr")
        expect(rows).not_to_have_count(0)
        expect(page.locator(".paginator")).to_have_text(f"{rows.count()} {counted}")
    page.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_the_terminals_processes_leaves_none(checkout: Checkout, served: Run, number: signal.Signals) -> None:
    os.killpg(served.process.pid, number)
    assert "Stopping." in served.wait()
    checkout.assert_nothing_runs()


@AS_EACH_USER
def test_sigterm_to_make_alone_leaves_no_process(checkout: Checkout, served: Run) -> None:
    served.process.terminate()
    assert "Stopping." in served.wait()
    checkout.assert_nothing_runs()


def test_terminal_that_goes_away_leaves_no_process(checkout: Checkout) -> None:
    terminal, inside = os.openpty()
    run = checkout.make("run", stdin=inside)
    os.close(inside)
    run.seconds_to_served()
    os.close(terminal)
    run.wait()
    checkout.assert_nothing_runs()


@pytest.mark.parametrize("seconds", [0.3, 1.0])
def test_second_ctrl_c_while_starting_leaves_no_process(checkout: Checkout, seconds: float) -> None:
    run = checkout.make("run")
    while not any("config.local.run" in process for process in checkout.processes()):
        time.sleep(0.01)
    time.sleep(seconds)
    run.press_ctrl_c()
    time.sleep(0.1)
    run.press_ctrl_c()
    assert "Traceback" not in run.wait()
    checkout.assert_nothing_runs()


@AS_EACH_USER
def test_killed_run_is_taken_over_by_the_next(checkout: Checkout, served: Run) -> None:
    os.killpg(served.process.pid, signal.SIGKILL)
    assert served.health() == 200
    again = checkout.make("run", f"PORT={served.port}")
    again.wait_for_output(f"http://127.0.0.1:{served.port}/")
    again.press_ctrl_c()
    again.wait()
    checkout.assert_nothing_runs()


def test_second_run_in_a_checkout_is_refused(checkout: Checkout, served: Run) -> None:
    assert list_refused(checkout.make("run")) == ["Another `make run` is running in this checkout."]


@pytest.mark.full
def test_two_checkouts_run_side_by_side(
    checkout: Checkout, served: Run, checkout_of: Callable[[str], Checkout]
) -> None:
    other = checkout_of("second").make("run")
    other.seconds_to_served()
    assert [served.health(), other.health()] == [200, 200]
    other.press_ctrl_c()
    other.wait()
    checkout_of("second").assert_nothing_runs()
    assert served.health() == 200


def list_refused(run: Run) -> list[str]:
    """Return the error of a run that cannot start, without make's last line."""
    lines = run.wait().splitlines()
    assert run.process.returncode == 2
    assert "Traceback" not in run.output
    return [line for line in lines if not line.startswith("make: ***")]


def test_taken_port_is_named(checkout: Checkout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = f"Port {port} cannot be used (Address already in use). Choose another: make run PORT=8002"
        assert list_refused(checkout.make("run", f"PORT={port}")) == [message]


def test_port_that_is_no_number_is_named(checkout: Checkout) -> None:
    message = "PORT=http is not a port; write a number from 1 to 65535."
    assert list_refused(checkout.make("run", "PORT=http")) == [message]


def test_unreachable_database_is_explained_without_its_password(checkout: Checkout) -> None:
    run = checkout.make("run", environment={"DATABASE_URL": "postgresql://crm:geheim@127.0.0.1:9/crm"})
    lines = list_refused(run)
    assert lines[0] == "The database at 127.0.0.1:9 cannot be used. Check DATABASE_URL."
    assert "Connection refused" in lines[1]
    assert "geheim" not in run.output
    checkout.assert_nothing_runs()


# Says that it is Python 3.9, and runs what it is given: there need be no real one on the machine.
OLD_PYTHON = """#!/bin/sh
exec python3 - "$@" <<END
import runpy, sys
sys.version_info, sys.executable = (3, 9, 0, "final", 0), "$0"
runpy.run_path(sys.argv[1], run_name="__main__")
END
"""


def test_too_old_python_is_named(checkout: Checkout) -> None:
    old = checkout.home.parent / "python3.9"
    old.write_text(OLD_PYTHON)
    old.chmod(0o755)
    assert list_refused(checkout.make("run", f"PYTHON={old}")) == [
        f"{old} is Python 3.9; 3.11 or newer is needed.",
        "Choose another Python: make run PYTHON=python3.13",
    ]


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Checkout:
    """A checkout in which nothing is installed."""
    return clone(tmp_path, "self")


# An index without the wheel is what a platform without the wheel looks like to pip.
def test_wheel_that_does_not_exist_is_named_with_the_platform(bare_checkout: Checkout) -> None:
    empty = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(bare_checkout.home)}
    lines = list_refused(bare_checkout.make("run", environment=empty))
    version = "{}.{}".format(*sys.version_info)
    assert re.fullmatch(rf"\S+==\S+ has no wheel for Python {version} on {sysconfig.get_platform()}\.", lines[2])
    assert "Linux (glibc 2.28 or newer, so not Alpine)" in lines[3]


def test_network_that_is_away_is_named(bare_checkout: Checkout) -> None:
    away = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_RETRIES": "1",
        "PIP_FIND_LINKS": "",
    }
    lines = list_refused(bare_checkout.make("run", environment=away))
    assert lines[2] == "Downloading the packages failed: the package index does not answer."

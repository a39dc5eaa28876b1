"""`make dev-up` in a fresh clone by an ordinary user: live code, e-mail, Adminer, and the owner of files."""

import http.client
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import closing

import psycopg2  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Browser, expect

from e2e.roles import APPLICATION, application_rights
from e2e.stack import ADMINISTRATOR, BOUNDED, BOUNDED_OTHERWISE, SLOW_DATABASE, Stack, seconds_until

SERVICES = ("db", "redis", "broker", "adminer", "mock", "web", "celery-worker")


@pytest.fixture(scope="module")
def dev(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("dev")
    if os.geteuid() == 0:
        stack.hand_over("nobody")
    stack.make("dev-up")
    return stack


def test_fresh_clone_is_healthy_on_first_try(dev: Stack) -> None:
    assert [dev.health(service) for service in SERVICES] == ["healthy"] * len(SERVICES)
    assert dev.get("/api/v1/ready/").text == '{"status": "ready"}'
    assert dev.logs("migrate").count("Operations to perform:") == 1
    assert "<h1>WhatsApp mock</h1>" in dev.get("/", service="mock").text


@pytest.mark.full
def test_database_that_starts_slowly_is_waited_for(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("dev")
    stack.overlay("slow.yml", SLOW_DATABASE)
    stack.make("dev-up")
    assert stack.get("/api/v1/ready/").text == '{"status": "ready"}'
    assert stack.logs("migrate").count("Operations to perform:") == 1


def test_changed_line_restarts_the_worker(dev: Stack) -> None:
    # What starts looks at the files once a second, and sees changes from its second look on.
    time.sleep(3)
    restarts = dev.inspect("celery-worker")["RestartCount"]
    with (dev.checkout / "core_apps/tasks/mail.py").open("a") as file:
        file.write("CHANGED = True\n")
    seconds = seconds_until(lambda: bool(dev.inspect("celery-worker")["RestartCount"] > restarts), 30)
    seconds += dev.wait_to_be("healthy", "celery-worker")
    print(f"changed line loaded after {seconds:.1f} s")


def test_changed_line_is_served(dev: Stack) -> None:
    probes = dev.checkout / "core_apps/operations/probes.py"
    before = probes.read_text()
    probes.write_text(before.replace('{"status": "ok"}', '{"status": "changed"}'))
    seconds = seconds_until(lambda: health(dev) == '{"status": "changed"}', 30)
    print(f"changed line served after {seconds:.1f} s")
    time.sleep(3)  # as above
    probes.write_text(before)
    seconds_until(lambda: health(dev) == '{"status": "ok"}', 30)


def health(dev: Stack) -> str | None:
    try:
        return dev.get("/api/v1/health/").text
    except (OSError, http.client.HTTPException):
        return None  # between two versions


def test_adminer_lists_the_tables(dev: Stack, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{dev.ports['adminer']}/")
    page.locator("[name='auth[driver]']").select_option(label="PostgreSQL")
    expect(page.locator("[name='auth[server]']")).to_have_value("db")
    login = {"username": "dev_user", "password": "dev_pass_123", "db": "exhibition_db_dev"}
    for field, value in login.items():
        page.locator(f"[name='auth[{field}]']").fill(value)
    page.get_by_role("button", name="Login").click()
    expect(page.get_by_role("rowheader", name="customers_customer", exact=True)).to_be_visible()
    page.close()


def test_password_reset_mail_is_in_the_logs(dev: Stack, browser: Browser) -> None:
    variables = [
        "-e",
        "DJANGO_SUPERUSER_PASSWORD=correct horse battery",
        "-e",
        "DJANGO_SUPERUSER_EMAIL=alice@example.com",
    ]
    dev.compose("exec", "-T", *variables, "web", "python", "manage.py", "createsuperuser", "--noinput")
    page = browser.new_page(base_url=dev.url)
    page.goto("/admin/password_reset/")
    page.locator("[name=email]").fill(ADMINISTRATOR)
    page.locator("input[type=submit]").click()
    expect(page).to_have_url(f"{dev.url}/admin/password_reset/done/")
    page.close()
    # dev-logs follows until somebody stops it.
    said = dev.run("timeout", "5", "make", "dev-logs", fails=True)
    assert f"To: {ADMINISTRATOR}" in said
    assert re.search(rf"{dev.url}/reset/\w+/[\w-]+/", said)


def test_tests_pass_in_the_container(dev: Stack) -> None:
    assert re.search(r"^\d+ passed", dev.make("dev-test", "ARGS=core_apps/api core_apps/common -q"), re.M)


def test_application_owns_its_database_and_creates_those_of_tests(dev: Stack) -> None:
    assert application_rights(dev) == APPLICATION | {"rolcreatedb": True}


def test_wrong_address_shows_the_debug_page(dev: Stack) -> None:
    answer = dev.get("/nothing/")
    assert answer.status == 404
    assert "Using the URLconf defined in" in answer.text


def test_documented_credentials_reach_the_database(dev: Stack) -> None:
    database = {"dbname": "exhibition_db_dev", "user": "dev_user", "password": "dev_pass_123"}
    with closing(psycopg2.connect(host="127.0.0.1", port=dev.ports["db"], **database)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT count(*) FROM customers_customer")
        assert cursor.fetchall() == [(0,)]


def test_redis_is_reached(dev: Stack) -> None:
    with socket.create_connection(("127.0.0.1", dev.ports["redis"]), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(7) == b"+PONG\r\n"


def test_file_of_the_container_belongs_to_who_started_it(dev: Stack) -> None:
    dev.within("web", "touch", "/app/made_in_the_container")
    made = (dev.checkout / "made_in_the_container").stat()
    assert (made.st_uid, made.st_gid) == (
        dev.credentials.get("user", os.getuid()),
        dev.credentials.get("group", os.getgid()),
    )


@pytest.mark.parametrize("service", [*SERVICES, "migrate", "roles"])
def test_container_is_bounded(dev: Stack, service: str) -> None:
    assert dev.bounds(service) == BOUNDED | BOUNDED_OTHERWISE.get(service, {})


def test_every_port_is_on_loopback(dev: Stack) -> None:
    inner = {"web": 8000, "db": 5432, "redis": 6379, "adminer": 8080, "mock": 8001}
    assert dev.list_published() == {f"{name}:{inner[name]}/tcp": f"127.0.0.1:{dev.ports[name]}" for name in inner}

"""`make prod-up`, from a fresh clone and for localhost: the containers, and what a person does with them."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, expect

from e2e.stack import ADMINISTRATOR, BOUNDED, PASSWORD, Site, Stack, ask, docker
from e2e.test_basic_tier import log_in, png

SERVICES = ("db", "redis", "web", "nginx", "certbot")
USERS = {"db": (999, 999), "redis": (999, 999), "web": (10001, 10001), "nginx": (101, 101), "certbot": (10002, 101)}
ORDINARY = "bob@trade-fair.test"
# Mails are printed, so that they can be read in web's log.
CONSOLE = "EMAIL_BACKEND=django.core.mail.backends.console.EmailBackend\n"
CREATE_ORDINARY = f"""
from core_apps.accounts.models import User
User.objects.create_user({ORDINARY!r}, {PASSWORD!r}, name="Bob", is_staff=True)
"""


@pytest.fixture(scope="module")
def prod(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("prod")
    stack.make("prod-env")
    with (stack.checkout / ".envs/.env.production").open("a") as file:
        file.write(CONSOLE)
    print(stack.make("prod-up")[-800:])
    return stack


@pytest.fixture(scope="module")
def site(prod: Stack) -> Site:
    return Site("localhost", prod.ports["nginx"])


@pytest.fixture(scope="module")
def browser(site: Site, browser_of: Callable[[Site], Browser]) -> Browser:
    return browser_of(site)


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Callable[[], Page]]:
    """Returns a page of a person's own, to whom https://localhost/ is this tier."""
    contexts: list[BrowserContext] = []

    def open_page() -> Page:
        contexts.append(browser.new_context(base_url="https://localhost", ignore_https_errors=True))
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


def test_everything_is_healthy(prod: Stack, site: Site) -> None:
    assert [prod.health(service) for service in SERVICES] == ["healthy"] * len(SERVICES)
    assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'


def test_second_up_changes_no_secret_and_no_container(prod: Stack) -> None:
    env_file = prod.checkout / ".envs/.env.production"
    before = env_file.read_text(), [prod.container(service) for service in SERVICES]
    prod.make("prod-up")
    assert (env_file.read_text(), [prod.container(service) for service in SERVICES]) == before


def test_compose_without_secrets_names_the_command(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("prod")
    del stack.environment["COMPOSE_ENV_FILES"]
    said = stack.compose("up", "--detach", fails=True)
    assert re.search(r"is missing a value: is not set\. (See )?`make prod-init`", said)


def test_only_80_and_443_are_published(prod: Stack) -> None:
    assert {place.rpartition(":")[0] for place in prod.published().values()} == {"0.0.0.0"}
    assert prod.published().keys() == {"nginx:8080/tcp", "nginx:8443/tcp"}
    for variable in ("HTTP_PORT", "HTTPS_PORT"):
        prod.environment.pop(variable)
    config = json.loads(prod.compose("config", "--format", "json"))
    ports = [port["published"] for service in config["services"].values() for port in service.get("ports", ())]
    prod.environment |= {"HTTP_PORT": str(prod.ports["http"]), "HTTPS_PORT": str(prod.ports["nginx"])}
    assert ports == ["80", "443"]


@pytest.mark.parametrize("service", [*SERVICES, "migrate"])
def test_container_is_bounded(prod: Stack, service: str) -> None:
    once = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}} if service == "migrate" else {}
    assert prod.bounds(service) == BOUNDED | once


@pytest.mark.parametrize("service", SERVICES)
def test_process_has_a_user_and_no_capability(prod: Stack, service: str) -> None:
    user, group = USERS[service]
    status = prod.within(service, "cat", "/proc/self/status")
    assert re.findall(r"^(Uid|Gid|CapEff|NoNewPrivs):\t(\w+)", status, re.M) == [
        ("Uid", str(user)),
        ("Gid", str(group)),
        ("CapEff", "0" * 16),
        ("NoNewPrivs", "1"),
    ]


@pytest.mark.parametrize(
    ("service", "path"), [("nginx", "/etc/nginx/x"), ("nginx", "/var/www/media/x"), ("certbot", "/x")]
)
def test_front_cannot_write(prod: Stack, service: str, path: str) -> None:
    assert "Read-only file system" in prod.within(service, "touch", path, fails=True)


def address(stack: Stack, service: str, network: str) -> str:
    networks = stack.inspect(service)["NetworkSettings"]["Networks"]
    return str(networks[f"{stack.project}_{network}"]["IPAddress"])


@pytest.mark.parametrize(("service", "port"), [("db", 5432), ("redis", 6379)])
def test_neither_nginx_nor_this_machine_reaches(prod: Stack, service: str, port: int) -> None:
    there = address(prod, service, "backend")
    dial = f"timeout 3 bash -c 'echo > /dev/tcp/{there}/{port}'"
    assert prod.within("web", "bash", "-c", dial) == ""  # so that the question makes sense
    prod.within("nginx", "bash", "-c", dial, fails=True)
    prod.within("nginx", "getent", "hosts", service, fails=True)
    with pytest.raises(OSError, match="No route|unreachable|timed out"):
        socket.create_connection((there, port), timeout=3).close()


def test_databases_reach_nobody_outside(prod: Stack) -> None:
    for service in ("db", "redis"):
        routes = prod.within(service, "cat", "/proc/net/route").splitlines()[1:]
        assert [route.split()[1] for route in routes if route.split()[1] == "00000000"] == []


def test_redis_asks_for_its_password(prod: Stack) -> None:
    assert "NOAUTH" in prod.within("redis", "sh", "-c", "REDISCLI_AUTH= redis-cli ping")
    password = re.findall(r"^REDIS_PASSWORD=(.+)$", (prod.checkout / ".envs/.env.production").read_text(), re.M)
    assert password[0] not in prod.within("redis", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert prod.within("redis", "redis-cli", "config", "get", "save").split() == ["save", "60", "1"]


def test_front_holds_no_secret(prod: Stack) -> None:
    env_file = (prod.checkout / ".envs/.env.production").read_text()
    secrets = re.findall(r"^(?:SECRET_KEY|POSTGRES_PASSWORD|REDIS_PASSWORD)=(.+)$", env_file, re.M)
    assert len(secrets) == 3
    for service in ("nginx", "certbot"):
        given = " ".join(prod.inspect(service)["Config"]["Env"])
        assert [secret for secret in secrets if secret in given] == []


def test_four_workers_serve(prod: Stack) -> None:
    (master,) = prod.children("web")
    assert len(prod.children("web", master)) == 4


@pytest.fixture(scope="module")
def people(prod: Stack) -> None:
    prod.create_administrator()
    prod.within("web", "python", "manage.py", "shell", "--no-imports", "-c", CREATE_ORDINARY)


def test_photo_is_for_those_who_may_see_its_customer(people: None, visitor: Callable[[], Page], tmp_path: Path) -> None:
    alice = visitor()
    log_in(alice)
    photo = tmp_path / "photo.png"
    photo.write_bytes(png())
    alice.goto("/admin/customers/customer/add/")
    alice.get_by_label("Family name").fill("Lovelace")
    alice.get_by_label("Photo").set_input_files(photo)
    alice.get_by_role("button", name="Save", exact=True).click()
    alice.get_by_role("link", name="Lovelace").first.click()
    url = alice.get_by_role("link", name="photos/").get_attribute("href") or ""
    shown = open_url(alice, url)
    assert (shown.status, shown.headers["content-type"], shown.body()) == (200, "image/png", photo.read_bytes())
    bob = visitor()
    log_in(bob, ORDINARY)
    assert open_url(bob, url).status == 403
    assert "/admin/login/" in open_url(visitor(), url).url


def open_url(page: Page, url: str) -> Response:
    response = page.goto(url)
    assert response
    return response


def test_reset_mail_names_the_host_that_was_asked(prod: Stack, people: None, visitor: Callable[[], Page]) -> None:
    page = visitor()
    page.goto("/admin/password_reset/")
    page.get_by_label("Email").fill(ADMINISTRATOR)
    page.get_by_role("button").click()
    expect(page).to_have_url(re.compile("/done/$"))
    (link,) = re.findall(r"\S+/reset/\S+", prod.logs("web"))
    assert link.startswith("https://localhost/reset/")
    page.goto(link)
    expect(page.get_by_label("New password:")).to_be_visible()


def test_address_of_web_is_found_again_without_a_reload(prod: Stack, site: Site) -> None:
    before, workers = address(prod, "web", "frontend"), prod.children("nginx", nginx_master(prod))
    squatter = f"{prod.project}-squatter"
    prod.compose("rm", "--stop", "--force", "web")
    # Somebody else has the old address now.
    docker("run", "--detach", "--name", squatter, "--network", f"{prod.project}_frontend", prod.image, "sleep", "60")
    prod.compose("up", "--detach", "--wait", "--no-deps", "web")
    docker("rm", "--force", squatter)
    assert address(prod, "web", "frontend") != before
    statuses = [ask(site, "GET", "/admin/login/").status for _ in range(200)]
    assert statuses == [200] * 200
    assert prod.children("nginx", nginx_master(prod)) == workers


def nginx_master(stack: Stack) -> int:
    """Of the children of the container's init, nginx is the one with children of its own that are nginx."""
    return int(stack.within("nginx", "cat", "/tmp/nginx.pid"))

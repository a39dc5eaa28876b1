"""`make prod-up`, from a fresh clone and for localhost: the containers, and what a person does with them."""

import json
import re
import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from e2e.browsing import add_lovelace, log_in, open_url
from e2e.stack import ADMINISTRATOR, BOUNDED, DATABASE, PASSWORD, Site, Stack, ask

SERVICES = ("db", "redis", "web", "nginx", "certbot", "backup")
USERS = {
    "db": (999, 999),
    "redis": (999, 999),
    "web": (10001, 10001),
    "nginx": (101, 101),
    "certbot": (10002, 101),
    "backup": (10001, 10001),
}
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


def test_psql_and_commands_run_in_the_tier(prod: Stack) -> None:
    assert prod.make("prod-psql", "ARGS=-tAc 'SELECT current_database()'").strip() == DATABASE
    assert "no issues" in prod.make("prod-exec", "ARGS=python manage.py check")


def test_compose_without_secrets_names_the_command(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("prod")
    del stack.environment["COMPOSE_ENV_FILES"]
    said = stack.compose("up", "--detach", fails=True)
    assert re.search(r"is missing a value: is not set\. (See )?`make prod-init`", said)


def test_only_80_and_443_are_published(prod: Stack) -> None:
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


# What a client says first, and how the server's answer begins.
GREETINGS = {"db": (5432, r"\0\0\0\x08\x04\xd2\x16\x2f", "N"), "redis": (6379, r"PING\r\n", "-NOAUTH")}


def dial(stack: Stack, service: str) -> list[str]:
    """A command that greets the service by its address, not by its name."""
    port, greeting, answer = GREETINGS[service]
    line = f"exec 3<>/dev/tcp/{stack.address(service, 'backend')}/{port}; printf '{greeting}' >&3"
    line += f"; head -c {len(answer)} <&3"
    return ["timeout", "3", "bash", "-c", f"({line}) 2>/dev/null || true"]


@pytest.mark.parametrize("service", ["db", "redis"])
def test_neither_nginx_nor_this_machine_reaches(prod: Stack, service: str) -> None:
    answer = GREETINGS[service][2]
    assert prod.within("web", *dial(prod, service)) == answer
    # A network may answer in the place of an address that nobody has; it does not answer as the server would.
    found = subprocess.run(dial(prod, service), capture_output=True, text=True)
    assert found.stdout != answer
    assert answer not in prod.compose("exec", "-T", "nginx", "sh", "-c", f"{shlex.join(dial(prod, service))}; true")
    prod.within("nginx", "getent", "hosts", service, fails=True)


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
    values = re.findall(r"^(?:SECRET_KEY|POSTGRES_PASSWORD|REDIS_PASSWORD)=(.+)$", env_file, re.M)
    assert len(values) == 3
    for service in ("nginx", "certbot"):
        given = " ".join(prod.inspect(service)["Config"]["Env"])
        assert [value for value in values if value in given] == []


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
    url = add_lovelace(alice, tmp_path)
    shown = open_url(alice, url)
    assert (shown.status, shown.headers["content-type"], shown.body()[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    bob = visitor()
    log_in(bob, ORDINARY)
    assert open_url(bob, url).status == 403
    assert "/admin/login/" in open_url(visitor(), url).url


def test_reset_mail_names_the_host_that_was_asked(prod: Stack, people: None, visitor: Callable[[], Page]) -> None:
    page = visitor()
    open_url(page, "/admin/password_reset/")
    page.get_by_label("Email").fill(ADMINISTRATOR)
    page.get_by_role("button", name="Reset my password").click()
    expect(page).to_have_url(re.compile("/done/$"))
    (link,) = re.findall(r"\S+/reset/\S+", prod.logs("web"))
    assert link.startswith("https://localhost/reset/")
    open_url(page, link)
    expect(page.get_by_label("New password:")).to_be_visible()


def change(prod: Stack, **variables: str) -> None:
    """Edit the env file, and start what reads it anew."""
    env_file = prod.checkout / ".envs/.env.production"
    kept = [line for line in env_file.read_text().splitlines() if line.partition("=")[0] not in variables]
    env_file.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in variables.items()), ""]))
    prod.make("prod-up")


def test_secret_key_is_changed_and_nobody_is_logged_out(
    prod: Stack, site: Site, people: None, visitor: Callable[[], Page]
) -> None:
    page = visitor()
    log_in(page)
    session = {"Cookie": "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())}
    old = re.findall(r"^SECRET_KEY=(.+)$", (prod.checkout / ".envs/.env.production").read_text(), re.M)
    change(prod, SECRET_KEY=secrets.token_urlsafe(48), SECRET_KEY_FALLBACKS=old[-1])
    assert ask(site, "GET", "/admin/", session).status == 200
    # Without the old key the session is nobody's.
    change(prod, SECRET_KEY_FALLBACKS=secrets.token_urlsafe(48))
    assert ask(site, "GET", "/admin/", {"Cookie": session["Cookie"]}).status == 302


def test_database_password_is_changed(prod: Stack, site: Site) -> None:
    new = secrets.token_urlsafe(48)
    prod.within("db", "psql", "-U", DATABASE, "-c", f"ALTER ROLE {DATABASE} PASSWORD '{new}'")
    change(prod, POSTGRES_PASSWORD=new)
    assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'


def test_redis_password_is_changed(prod: Stack, site: Site) -> None:
    prod.within("redis", "redis-cli", "set", "kept", "yes")
    change(prod, REDIS_PASSWORD=secrets.token_urlsafe(48))
    assert prod.within("redis", "redis-cli", "get", "kept").strip() == "yes"
    assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'

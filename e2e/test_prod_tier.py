"""`make prod-up` in a fresh clone for localhost: the containers, and their use."""

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
from e2e.environments import PROD, REMOTE, of_container, of_image
from e2e.roles import APPLICATION, application_rights
from e2e.site import Site, ask
from e2e.stack import ADMINISTRATOR, BOUNDED, BOUNDED_OTHERWISE, DATABASE, PASSWORD, Stack, seconds_until

USERS = {
    "db": (999, 999),
    "redis": (999, 999),
    "broker": (999, 999),
    "web": (10001, 10001),
    "celery-worker": (10001, 10001),
    "celery-certificates": (10001, 10001),
    "celery-beat": (10001, 10001),
    "nginx": (101, 101),
    "certbot": (10002, 101),
    "backup": (10001, 10001),
}
SERVICES = tuple(USERS)
ORDINARY = "bob@trade-fair.test"
# Mails are printed, so that they can be read in the worker's log.
CONSOLE = "EMAIL_BACKEND=django.core.mail.backends.console.EmailBackend\n"
CREATE_ORDINARY = f"""
from core_apps.accounts.models import User
User.objects.create_user({ORDINARY!r}, {PASSWORD!r}, name="Bob", is_staff=True)
"""
CREATE_VISIT = """
from datetime import date
from customers.models import Customer, Exhibition, Visit
exhibition = Exhibition.objects.create(name="Fair", starts_on=date(2026, 3, 10), ends_on=date(2026, 3, 12))
customer = Customer.objects.create(given_name="Ada", family_name="Lovelace")
print(Visit.objects.create(customer=customer, exhibition=exhibition, visited_at="2026-03-11 10:00Z").pk)
"""
FIND_RENDERER = "import importlib.util; print(importlib.util.find_spec('weasyprint') is not None)"


@pytest.fixture(scope="module")
def prod(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("prod")
    stack.configure(CONSOLE)
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
    """Return a browser page for which https://localhost/ is this tier."""
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
    assert re.search(r"^emails +0 +-", prod.make("prod-queues"), re.M)


def test_compose_without_secrets_names_the_command(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("prod")
    del stack.environment["COMPOSE_ENV_FILES"]
    said = stack.compose("up", "--detach", fails=True)
    assert re.search(r"is missing a value: is not set\. (See )?`make prod-init`", said)


def test_only_80_and_443_are_published(prod: Stack) -> None:
    assert prod.list_published().keys() == {"nginx:8080/tcp", "nginx:8443/tcp"}
    for variable in ("HTTP_PORT", "HTTPS_PORT"):
        prod.environment.pop(variable)
    config = json.loads(prod.compose("config", "--format", "json"))
    ports = [port["published"] for service in config["services"].values() for port in service.get("ports", ())]
    prod.environment |= {"HTTP_PORT": str(prod.ports["http"]), "HTTPS_PORT": str(prod.ports["nginx"])}
    assert ports == ["80", "443"]


@pytest.mark.parametrize("service", [*SERVICES, "migrate", "roles"])
def test_container_is_bounded(prod: Stack, service: str) -> None:
    assert prod.bounds(service) == BOUNDED | BOUNDED_OTHERWISE.get(service, {})


def test_as_many_connections_as_a_deploy_needs_can_be_made(prod: Stack) -> None:
    script = """
import os, psycopg2
connections = [psycopg2.connect(os.environ["DATABASE_URL"]) for _ in range(160)]
print(len(connections))
"""
    assert prod.within("web", "python", "-c", script) == "160\n"


@pytest.mark.parametrize("service", [*SERVICES, "migrate", "roles", "drill"])
def test_container_has_its_own_variables(prod: Stack, service: str) -> None:
    assert of_container(prod, service) == (PROD[service] - REMOTE) | of_image(prod, service)


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
GREETINGS = {"db": (5432, r"\0\0\0\x08\x04\xd2\x16\x2f", "N")}
GREETINGS |= dict.fromkeys(("redis", "broker"), (6379, r"PING\r\n", "-NOAUTH"))


def dial(stack: Stack, service: str) -> list[str]:
    """Return a command that connects to the service by its address, not by its name."""
    port, greeting, answer = GREETINGS[service]
    line = f"exec 3<>/dev/tcp/{stack.address(service, 'backend')}/{port}; printf '{greeting}' >&3"
    line += f"; head -c {len(answer)} <&3"
    return ["timeout", "3", "bash", "-c", f"({line}) 2>/dev/null || true"]


@pytest.mark.parametrize("service", GREETINGS)
def test_neither_nginx_nor_this_machine_reaches(prod: Stack, service: str) -> None:
    answer = GREETINGS[service][2]
    assert prod.within("web", *dial(prod, service)) == answer
    # A network may answer in the place of an address that nobody has; it does not answer as the server would.
    found = subprocess.run(dial(prod, service), capture_output=True, text=True)
    assert found.stdout != answer
    assert answer not in prod.compose("exec", "-T", "nginx", "sh", "-c", f"{shlex.join(dial(prod, service))}; true")
    prod.within("nginx", "getent", "hosts", service, fails=True)


def test_databases_reach_nobody_outside(prod: Stack) -> None:
    for service in GREETINGS:
        routes = prod.within(service, "cat", "/proc/net/route").splitlines()[1:]
        assert [route.split()[1] for route in routes if route.split()[1] == "00000000"] == []


@pytest.mark.parametrize(("service", "save"), [("redis", "60 1"), ("broker", "")])
def test_redis_asks_for_its_password(prod: Stack, service: str, save: str) -> None:
    assert "NOAUTH" in prod.within(service, "sh", "-c", "REDISCLI_AUTH= redis-cli ping")
    password = re.findall(r"^REDIS_PASSWORD=(.+)$", (prod.checkout / ".envs/.env.production").read_text(), re.M)
    assert password[0] not in prod.within(service, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert prod.within(service, "redis-cli", "config", "get", "save").split() == ["save", *save.split()]


def test_front_holds_no_secret(prod: Stack) -> None:
    env_file = (prod.checkout / ".envs/.env.production").read_text()
    values = re.findall(r"^(?:SECRET_KEY|POSTGRES_(?:APP_|BACKUP_)?PASSWORD|REDIS_PASSWORD)=(.+)$", env_file, re.M)
    assert len(values) == 5
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


def test_certificate_is_made_by_a_worker_of_its_own(prod: Stack, people: None, visitor: Callable[[], Page]) -> None:
    key = prod.within("web", "python", "manage.py", "shell", "--no-imports", "-c", CREATE_VISIT).strip()
    page = visitor()
    log_in(page)
    open_url(page, f"/admin/customers/visit/{key}/change/")
    page.get_by_role("button", name="Certificate").click()
    with page.expect_download() as event:
        page.get_by_role("link", name="Download", exact=True).click(timeout=20_000)
    content = Path(event.value.path()).read_bytes()
    assert (event.value.suggested_filename, content[:5]) == ("Ada_Lovelace-2026-03-11.pdf", b"%PDF-")
    found = {name: prod.within(name, "python", "-c", FIND_RENDERER).strip() for name in SERVICES if "celery" in name}
    assert found == {"celery-worker": "False", "celery-certificates": "True", "celery-beat": "False"}


def test_reset_mail_names_the_host_that_was_asked(prod: Stack, people: None, visitor: Callable[[], Page]) -> None:
    page = visitor()
    open_url(page, "/admin/password_reset/")
    page.get_by_label("Email").fill(ADMINISTRATOR)
    page.get_by_role("button", name="Reset my password").click()
    expect(page).to_have_url(re.compile("/done/$"))
    seconds_until(lambda: "/reset/" in prod.logs("celery-worker"), 10)
    (link,) = re.findall(r"\S+/reset/\S+", prod.logs("celery-worker"))
    assert link.startswith("https://localhost/reset/")
    open_url(page, link)
    expect(page.get_by_label("New password:")).to_be_visible()


def change(prod: Stack, **variables: str) -> None:
    """Edit the env file, and recreate the services that read it."""
    env_file = prod.checkout / ".envs/.env.production"
    kept = [line for line in env_file.read_text().splitlines() if line.partition("=")[0] not in variables]
    env_file.write_text("\n".join([*kept, *(f"{name}={value}" for name, value in variables.items()), ""]))
    prod.make("prod-up")


@pytest.mark.full
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


def test_application_owns_its_database_and_no_more(prod: Stack) -> None:
    assert application_rights(prod) == APPLICATION


def test_backup_reads_and_does_not_write(prod: Stack) -> None:
    query = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    assert prod.within("backup", "psql", "-qtAX", "-c", query) == "f|f|f|f\n"
    said = prod.within("backup", "psql", "-c", "DELETE FROM customers_customer", fails=True)
    assert "permission denied for table customers_customer" in said


@pytest.mark.full
def test_password_of_the_application_is_changed(prod: Stack, site: Site) -> None:
    change(prod, POSTGRES_APP_PASSWORD=secrets.token_urlsafe(48), POSTGRES_BACKUP_PASSWORD=secrets.token_urlsafe(48))
    assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'
    assert prod.within("backup", "psql", "-qtAX", "-c", "SELECT current_user") == "backup\n"


@pytest.mark.full
def test_database_password_is_changed(prod: Stack, site: Site) -> None:
    new = secrets.token_urlsafe(48)
    prod.within("db", "psql", "-U", DATABASE, "-c", f"ALTER ROLE {DATABASE} PASSWORD '{new}'")
    change(prod, POSTGRES_PASSWORD=new)
    assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'


@pytest.mark.full
def test_redis_password_is_changed(prod: Stack, site: Site) -> None:
    prod.within("redis", "redis-cli", "set", "kept", "yes")
    change(prod, REDIS_PASSWORD=secrets.token_urlsafe(48))
    assert prod.within("redis", "redis-cli", "get", "kept").strip() == "yes"
    assert ask(site, "GET", "/api/v1/ready/").text == '{"status": "ready"}'

"""`make up` in a fresh clone: the site, the containers, the image."""

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect

from e2e.browsing import add_lovelace, log_in, open_url
from e2e.roles import APPLICATION, application_rights
from e2e.site import ask
from e2e.stack import BOUNDED, BOUNDED_OTHERWISE, DATABASE, SLOW_DATABASE, Stack, docker, free_ports, seconds_until

CONNECT = "import socket; socket.create_connection(('127.0.0.1', 9000)); print('connected')"
SERVICES = ("db", "redis", "broker", "web", "celery-worker")
BASE_IMAGE = "python:3.13-slim-trixie"
# Not the mock of WhatsApp, nor anything else for development.
IN_THE_IMAGE = ["__pycache__", "config", "core_apps", "customers", "manage.py", "media", "static", "staticfiles"]


@pytest.fixture(scope="module")
def basic(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("basic")
    stack.make("up")
    return stack


def migrate_runs(stack: Stack) -> int:
    """Return how often the container has migrated."""
    return stack.logs("migrate").count("Operations to perform:")


def test_fresh_clone_is_healthy_on_first_try(basic: Stack) -> None:
    assert [basic.health(service) for service in SERVICES] == ["healthy"] * len(SERVICES)
    assert basic.get("/api/v1/ready/").text == '{"status": "ready"}'
    assert migrate_runs(basic) == 1


def test_secrets_are_generated_once_for_their_owner_alone(basic: Stack) -> None:
    env_file = basic.checkout / ".env"
    before = env_file.read_text()
    names = re.findall(r"^(\w+)=[\w-]{64}$", before, re.M)
    assert names == ["SECRET_KEY", "POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD"]
    assert env_file.stat().st_mode & 0o777 == 0o600
    web = basic.container("web")
    basic.make("up")
    assert env_file.read_text() == before
    assert basic.container("web") == web


def test_wrong_setting_is_named_before_anything_is_replaced(basic: Stack) -> None:
    env_file, web = basic.checkout / ".env", basic.container("web")
    before = env_file.read_text()
    env_file.write_text(f"{before}ALLOWED_HOSTS=https://crm.example.com\n")
    said = basic.make("up", fails=True)
    env_file.write_text(before)
    assert "ALLOWED_HOSTS contains https://crm.example.com: write host names only, such as crm.example.com" in said
    assert (basic.container("web"), basic.health("web")) == (web, "healthy")


def test_volume_with_another_password_is_explained(basic: Stack) -> None:
    env_file = basic.checkout / ".env"
    before = env_file.read_text()
    env_file.write_text(re.sub("(?m)^POSTGRES_PASSWORD=.*$", "POSTGRES_PASSWORD=another/#?[%one", before))
    said = basic.make("up", fails=True)
    env_file.write_text(before)
    assert f"{basic.project}-roles-1 failed: exit code 2. Its last log lines:\n" in said
    assert 'password authentication failed for user "exhibition"' in said
    assert "The volume of the database was created with another password than that of the env file" in said
    assert "E-mail is off: set EMAIL_HOST" in basic.make("up")


def test_other_checkout_does_not_take_over(
    basic: Stack, stack_of: Callable[[str], Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stack_of("basic")
    monkeypatch.setitem(other.environment, "COMPOSE_PROJECT_NAME", basic.project)
    said = other.make("up", fails=True)
    assert f"The containers of the project {basic.project} belong to {basic.checkout}. Set COMPOSE_PROJECT in" in said
    assert basic.health("web") == "healthy"


def test_application_owns_its_database_and_no_more(basic: Stack) -> None:
    assert application_rights(basic) == APPLICATION


def test_tables_of_the_administrator_become_the_applications(basic: Stack) -> None:
    """As on the volume of a version whose application connected as the administrator."""
    query = "SELECT tableowner FROM pg_tables WHERE tablename IN ('customers_customer', 'django_migrations')"
    basic.within("db", "psql", "-U", DATABASE, "-c", f"ALTER DATABASE {DATABASE} OWNER TO {DATABASE}")
    for table in ("customers_customer", "django_migrations"):
        basic.within("db", "psql", "-U", DATABASE, "-c", f"ALTER TABLE {table} OWNER TO {DATABASE}")
    basic.make("up")
    assert basic.within("db", "psql", "-qtAX", "-U", DATABASE, "-c", query).split() == ["app", "app"]
    assert application_rights(basic) == APPLICATION


def test_compose_without_secrets_names_the_command(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("basic")
    said = stack.compose("up", "--detach", "--wait", fails=True)
    assert re.search(r"(SECRET_KEY|POSTGRES\w*_PASSWORD) is missing a value: is not set\. `make up` generates", said)
    assert stack.list_resources("container") == []


@pytest.mark.full
def test_database_with_a_special_password_that_starts_slowly_is_waited_for(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("basic")
    (stack.checkout / ".env").write_text("POSTGRES_PASSWORD=p/a#s?s[w%o@r:d\n")
    stack.overlay("slow.yml", SLOW_DATABASE)
    stack.make("up")
    assert stack.get("/api/v1/ready/").text == '{"status": "ready"}'
    assert migrate_runs(stack) == 1


def test_three_replicas_started_together_migrate_once(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("basic")
    stack.make("secrets")
    ports = free_ports(3)
    stack.environment["WEB_PORT"] = f"{ports[0]}-{ports[-1]}"
    stack.compose("up", "--build", "--detach", "--wait", "--scale", "web=3")
    assert len(stack.containers("web")) == 3
    assert [ask(port, "GET", "/api/v1/ready/").status for port in ports] == [200, 200, 200]
    assert migrate_runs(stack) == 1


def test_file_of_this_machine_is_imported(basic: Stack) -> None:
    file = basic.checkout / "stand 7.csv"
    file.write_text("first name,last name,email\nAnn,Lee,ann@nordlys.example\n,,\n,,nobody\n")
    said = basic.make("import", "TIER=basic", f"FILE={file}", "ARGS=--errors rejected.csv", fails=True)
    assert re.search(r"^created +1$", said, re.M), said
    assert "Line 4" in said
    assert "nobody" in (basic.checkout / "rejected.csv").read_text()
    count = "SELECT count(*) FROM customers_customer WHERE email = 'ann@nordlys.example'"
    assert basic.within("db", "psql", "-qtAX", "-U", DATABASE, "-c", count).strip() == "1"
    assert basic.within("web", "sh", "-c", "ls /tmp | grep -c ^tmp || true").strip() == "0"


def test_customer_and_photo_outlive_down_and_up(basic: Stack, browser: Browser, tmp_path: Path) -> None:
    basic.create_administrator()
    page = browser.new_page(base_url=basic.url)
    log_in(page)
    url = add_lovelace(page, tmp_path)
    photo = page.request.get(url).body()
    basic.make("down")
    basic.make("up")
    page.goto("/admin/customers/customer/")
    page.get_by_role("link", name="Lovelace").click()
    assert page.get_by_role("link", name="Photo of Lovelace").get_attribute("href") == url
    shown = page.request.get(url)
    assert (shown.status, shown.headers["content-type"], shown.body()) == (200, "image/jpeg", photo)
    page.close()


def test_stylesheet_is_hashed_compressed_and_immutable(basic: Stack) -> None:
    (path, *_) = re.findall(r"/static/admin/css/base\.[0-9a-f]{12}\.css", basic.get("/admin/login/").text)
    plain = basic.get(path)
    answer = basic.get(path, {"Accept-Encoding": "gzip"})
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert answer.headers["Cache-Control"] == "max-age=315360000, public, immutable"
    assert len(answer.body) < 0.3 * len(plain.body)


@pytest.mark.full
def test_static_name_of_an_earlier_version_stays(basic: Stack) -> None:
    old = "/static/admin/css/base.0123456789ab.css"
    write = "import pathlib; pathlib.Path('/app/static/admin/css/base.0123456789ab.css').write_text('a{}')"
    basic.compose("run", "--rm", "migrate", "python", "-c", write)
    (new, *_) = re.findall(r"/static/\S+\.css", basic.get("/admin/login/").text)
    basic.compose("up", "--detach", "--wait", "--force-recreate")
    assert "deleted 0 old ones" in basic.logs("migrate")
    assert [basic.get(name).status for name in (old, new)] == [200, 200]


@pytest.mark.parametrize("service", [*SERVICES, "migrate", "roles"])
def test_container_is_bounded(basic: Stack, service: str) -> None:
    assert basic.bounds(service) == BOUNDED | BOUNDED_OTHERWISE.get(service, {})


@pytest.mark.parametrize(("service", "user"), [("db", 999), ("redis", 999), ("web", 10001), ("celery-worker", 10001)])
def test_process_has_a_user_and_no_capability(basic: Stack, service: str, user: int) -> None:
    status = basic.within(service, "cat", "/proc/1/status")
    assert re.findall(r"^(Uid|Gid|CapEff|NoNewPrivs):\t(\w+)", status, re.M) == [
        ("Uid", str(user)),
        ("Gid", str(user)),
        ("CapEff", "0" * 16),
        ("NoNewPrivs", "1"),
    ]


@pytest.mark.parametrize("path", ["/app/x", "/app/static/x", "/app/core_apps/x", "/x", "/opt/venv/x"])
def test_web_cannot_write(basic: Stack, path: str) -> None:
    assert "Read-only file system" in basic.within("web", "touch", path, fails=True)


def test_only_web_and_database_are_published_on_loopback(basic: Stack) -> None:
    assert basic.list_published() == {
        "db:5432/tcp": f"127.0.0.1:{basic.ports['db']}",
        "web:8000/tcp": f"127.0.0.1:{basic.ports['web']}",
    }


def test_image_lacks_what_only_a_build_needs(basic: Stack) -> None:
    assert basic.within("web", "ls").split() == IN_THE_IMAGE
    look = "which gcc cc make git pip pip3 curl wget; ls /var/lib/apt/lists /var/cache/apt 2>/dev/null; true"
    assert basic.within("web", "sh", "-c", look).split() in ([], ["/var/lib/apt/lists:"])
    packages = basic.within("web", "dpkg-query", "-W", "-f", "${Package}\n").split()
    assert [name for name in packages if name.endswith("-dev") or name in ("git", "curl", "gcc")] == []
    print(f"{len(packages)} packages")
    assert "No module named pip" in basic.within("web", "python", "-m", "pip", fails=True)


def test_image_adds_at_most_97_mb_to_its_base(basic: Stack) -> None:
    size, base = (int(docker("image", "inspect", "--format", "{{.Size}}", tag)) for tag in (basic.image, BASE_IMAGE))
    print(f"{(size - base) / 1e6:.1f} MB above {BASE_IMAGE}")
    assert size - base <= 97e6


def test_image_reads_each_kind_of_photo(basic: Stack) -> None:
    code = "from PIL import features; print([features.check(name) for name in ('jpg', 'zlib', 'webp')])"
    assert basic.within("web", "python", "-W", "error", "-c", code) == "[True, True, True]\n"


def test_user_of_the_image_has_neither_shell_nor_home(basic: Stack) -> None:
    assert basic.within("web", "grep", "^app:", "/etc/passwd") == "app:x:10001:10001::/nonexistent:/usr/sbin/nologin\n"


def test_image_names_its_version_and_revision(basic: Stack) -> None:
    labels = docker("image", "inspect", "--format", "{{json .Config.Labels}}", basic.image)
    revision = basic.run("git", "rev-parse", "--short", "HEAD").strip()
    expected = {"title": "Exhibition CRM", "version": basic.project, "revision": revision}
    for name, value in expected.items():
        assert f'"org.opencontainers.image.{name}":"{value}"' in labels


def test_port_is_respected(basic: Stack) -> None:
    name = f"{basic.project}-port-9000"
    basic.compose("run", "--detach", "--name", name, "-e", "PORT=9000", "web")
    seconds_until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", name) == "healthy", 30)
    assert "connected" in docker("exec", name, "python", "-c", CONNECT)
    docker("rm", "--force", name)


def test_doctor_names_a_taken_port(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("basic")
    with socket.create_server(("127.0.0.1", stack.ports["web"])):
        said = stack.make("doctor", fails=True)
    taken = f"FAIL  port {stack.ports['web']} for web is in use (Address already in use): stop what listens there"
    assert re.findall("^FAIL.*", said, re.M) == [taken]
    assert f"ok    port {stack.ports['db']} is free for db" in said


@pytest.mark.full
def test_import_in_the_browser_survives_its_worker(basic: Stack, browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    rows = (f"Ada{number},Lovelace,ada{number}@many.example" for number in range(100_000))
    file.write_text("\n".join(["First Name,Last Name,E-mail", *rows]))
    count = "SELECT count(*) FROM customers_customer WHERE email LIKE 'ada%@many.example'"
    basic.create_administrator()
    page = browser.new_page(base_url=basic.url)
    log_in(page)
    open_url(page, "/admin/customers/fileimport/add/")
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Import", exact=True).click(timeout=120_000)
    progress = [0.0]

    def is_past(share: float) -> bool:
        with suppress(Error):  # while the page of the result is being loaded
            progress.append(page.evaluate("(document.querySelector('#progress') || {position: 1}).position"))
        return progress[-1] > share

    seconds_until(lambda: is_past(0.4), 120)
    killed_at, (watchdog,) = progress[-1], basic.children("celery-worker")
    basic.within("celery-worker", "sh", "-c", f"kill -KILL {basic.children('celery-worker', watchdog)[0]}")
    seconds = seconds_until(lambda: is_past(0.999), 240)

    print(f"imported {seconds:.0f} s after the worker was killed at {killed_at:.0%}")
    assert progress == sorted(progress)
    expect(page.get_by_role("heading", name="Imported")).to_be_visible()
    assert basic.within("db", "psql", "-qtAX", "-U", DATABASE, "-c", count).strip() == "100000"
    page.get_by_role("button", name="Revert this import").click()
    expect(page.get_by_text("Reverted: 0 restored, 100000 deleted.")).to_be_visible(timeout=120_000)
    assert basic.within("db", "psql", "-qtAX", "-U", DATABASE, "-c", count).strip() == "0"
    page.close()

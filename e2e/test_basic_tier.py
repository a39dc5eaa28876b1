"""`make up`, from a fresh clone, as a person meets it: the front door, the containers, the image."""

import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from e2e.browsing import add_lovelace, log_in
from e2e.stack import BOUNDED, SLOW_DATABASE, Stack, ask, docker, free_ports, seconds_until

CONNECT = "import socket; socket.create_connection(('127.0.0.1', 9000)); print('connected')"
BASE_IMAGE = "python:3.13-slim-trixie"


@pytest.fixture(scope="module")
def basic(stack_of: Callable[[str], Stack]) -> Stack:
    stack = stack_of("basic")
    stack.make("up")
    return stack


def migrate_runs(stack: Stack) -> int:
    """How often its one container did its work."""
    return stack.logs("migrate").count("Operations to perform:")


def test_fresh_clone_is_healthy_on_first_try(basic: Stack) -> None:
    assert [basic.health(service) for service in ("db", "redis", "web")] == ["healthy"] * 3
    assert basic.get("/api/v1/ready/").text == '{"status": "ready"}'
    assert migrate_runs(basic) == 1


def test_secrets_are_generated_once_for_their_owner_alone(basic: Stack) -> None:
    env_file = basic.checkout / ".env"
    before = env_file.read_text()
    assert re.findall(r"^(\w+)=[\w-]{64}$", before, re.M) == ["SECRET_KEY", "POSTGRES_PASSWORD"]
    assert env_file.stat().st_mode & 0o777 == 0o600
    web = basic.container("web")
    basic.make("up")
    assert env_file.read_text() == before
    assert basic.container("web") == web


def test_compose_without_secrets_names_the_command(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("basic")
    said = stack.compose("up", "--detach", "--wait", fails=True)
    assert re.search(r"(SECRET_KEY|POSTGRES_PASSWORD) is missing a value: is not set\. `make up` generates it", said)
    assert stack.left("container") == []


def test_database_that_starts_slowly_is_waited_for(stack_of: Callable[[str], Stack]) -> None:
    stack = stack_of("basic")
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


def test_static_name_of_an_earlier_version_stays(basic: Stack) -> None:
    old = "/static/admin/css/base.0123456789ab.css"
    write = "import pathlib; pathlib.Path('/app/static/admin/css/base.0123456789ab.css').write_text('a{}')"
    basic.compose("run", "--rm", "migrate", "python", "-c", write)
    (new, *_) = re.findall(r"/static/\S+\.css", basic.get("/admin/login/").text)
    basic.compose("up", "--detach", "--wait", "--force-recreate")
    assert "deleted 0 old ones" in basic.logs("migrate")
    assert [basic.get(name).status for name in (old, new)] == [200, 200]


@pytest.mark.parametrize("service", ["db", "redis", "web", "migrate"])
def test_container_is_bounded(basic: Stack, service: str) -> None:
    once = {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}} if service == "migrate" else {}
    assert basic.bounds(service) == BOUNDED | once


@pytest.mark.parametrize(("service", "user"), [("db", 999), ("redis", 999), ("web", 10001)])
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
    assert basic.published() == {
        "db:5432/tcp": f"127.0.0.1:{basic.ports['db']}",
        "web:8000/tcp": f"127.0.0.1:{basic.ports['web']}",
    }


def test_image_lacks_what_only_a_build_needs(basic: Stack) -> None:
    look = "which gcc cc make git pip pip3 curl wget; ls /var/lib/apt/lists /var/cache/apt 2>/dev/null; true"
    assert basic.within("web", "sh", "-c", look).split() in ([], ["/var/lib/apt/lists:"])
    packages = basic.within("web", "dpkg-query", "-W", "-f", "${Package}\n").split()
    assert [name for name in packages if name.endswith("-dev") or name in ("git", "curl", "gcc")] == []
    print(f"{len(packages)} packages")
    assert "No module named pip" in basic.within("web", "python", "-m", "pip", fails=True)


def test_image_adds_at_most_80_mb_to_its_base(basic: Stack) -> None:
    size, base = (int(docker("image", "inspect", "--format", "{{.Size}}", tag)) for tag in (basic.image, BASE_IMAGE))
    print(f"{(size - base) / 1e6:.1f} MB above {BASE_IMAGE}")
    assert size - base <= 80e6


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

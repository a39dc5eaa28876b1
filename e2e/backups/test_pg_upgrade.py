"""Upgrades from PostgreSQL 17 to 18 in a new volume; any failure leaves the old version serving."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.backups.restores import NO_CLOCK
from e2e.deploys import BackgroundRun
from e2e.site import Site, ask
from e2e.stack import DATABASE, Stack, docker

pytestmark = pytest.mark.full
FORMER, MAJOR, IMAGE = "17", "18", "postgres:18-trixie"
# Where no registry has the image: the server of a newer Debian, started as the image does.
STAND_IN = Path(__file__).with_name("postgres_18.Dockerfile")
CUSTOMERS = 2000
SEED = f"""
INSERT INTO customers_customer (given_name, family_name, email, phone, phone_e164, job_title, country, stage, source,
                                notes, photo)
  SELECT 'Zoë', 'Customer ' || n, n || '@example.com', '', '', '', 'DE', 'lead', 'stand', '', ''
  FROM generate_series(1, {CUSTOMERS}) n;
"""


@pytest.fixture(scope="module")
def newer() -> Iterator[None]:
    """Return an image of the next major version: a local one, the registry's, or a temporary stand-in."""
    if docker("image", "ls", "--quiet", IMAGE) or subprocess.run(["docker", "pull", "-q", IMAGE]).returncode == 0:
        yield
        return
    subprocess.run(["docker", "build", "-q", "-t", IMAGE, "-"], input=STAND_IN.read_bytes(), check=True)
    yield
    docker("image", "rm", "--force", IMAGE)


@pytest.fixture(scope="module")
def prod(stack_of: Callable[[str], Stack], newer: None) -> Stack:
    stack = stack_of("prod")
    # As in the env file, which an upgrade writes.
    del stack.environment["VERSION"]
    stack.overlay("no_clock.yml", NO_CLOCK)
    stack.make("prod-env")
    stack.make("prod-up")
    sql(stack, SEED)
    stack.create_administrator()
    return stack


@pytest.fixture(autouse=True)
def assert_served(prod: Stack) -> Iterator[None]:
    """Assert that the site has all of its customers after the block."""
    yield
    assert ask(Site("localhost", prod.ports["nginx"]), "GET", "/api/v1/ready/").text == '{"status": "ready"}'
    assert sql(prod, "SELECT count(*) FROM customers_customer") == f"{CUSTOMERS}\n"


def sql(stack: Stack, statement: str) -> str:
    psql = ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-U", DATABASE]
    return stack.within("db", *psql, "-c", statement)


def version(stack: Stack) -> str:
    return sql(stack, "SHOW server_version").partition(".")[0]


def volumes(stack: Stack) -> list[str]:
    """Return the version of PostgreSQL."""
    names = docker("volume", "ls", "--format", "{{.Name}}", "--filter", f"name={stack.project}_postgres_").split()
    return sorted(name.rpartition("_")[2] for name in names)


def content(stack: Stack) -> str:
    """Return the rows and a hash of every table, sorted by name."""
    ask_each = (
        "SELECT format('SELECT %L, count(*), md5(string_agg(t::text, '','' ORDER BY t::text)) FROM %s t', c, c) "
        "FROM (SELECT oid::regclass c FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace) x "
        "ORDER BY c::text"
    )
    return "".join(sql(stack, question) for question in sql(stack, ask_each).splitlines())


@pytest.mark.parametrize(
    ("major", "said"),
    [
        ("17", "MAJOR=17 is not above the current version, 17."),
        ("", "MAJOR= is not above the current version, 17."),
        ("99", "postgres:99-trixie"),
    ],
)
def test_version_that_cannot_be_is_refused_before_anything_stops(prod: Stack, major: str, said: str) -> None:
    before = prod.containers("web"), prod.inspect("web")["State"]["StartedAt"]
    assert said in prod.make("prod-pg-upgrade", f"MAJOR={major}", fails=True)
    assert (prod.containers("web"), prod.inspect("web")["State"]["StartedAt"]) == before
    assert volumes(prod) == [FORMER]


def test_upgrade_that_does_not_load_returns_to_the_old_server(prod: Stack) -> None:
    # A rule that the rows keep on this version alone.
    body = "SELECT current_setting('server_version') LIKE '17%'"
    sql(prod, f"CREATE FUNCTION old(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$ {body} $$")
    sql(prod, "CREATE TABLE kept (note text CHECK (old(note))); INSERT INTO kept VALUES ('a')")
    try:
        said = prod.make("prod-pg-upgrade", f"MAJOR={MAJOR}", fails=True)
    finally:
        sql(prod, "DROP TABLE kept; DROP FUNCTION old(text)")
    print(said)
    assert "the upgrade failed; PostgreSQL 17 still serves: the database cannot be loaded: " in said
    assert (version(prod), volumes(prod)) == (FORMER, [FORMER])


@pytest.mark.parametrize("step", [pytest.param("taking a safety backup", marks=pytest.mark.full), "loading backup"])
def test_upgrade_killed_on_the_way_leaves_the_old_server_bootable(prod: Stack, step: str) -> None:
    kill_at(prod, step)
    prod.make("prod-up")
    assert version(prod) == FORMER


def kill_at(stack: Stack, step: str) -> None:
    """Kill only the script, so that it cannot clean up."""
    upgrade = BackgroundRun(stack, "prod-pg-upgrade", f"MAJOR={MAJOR}")
    upgrade.wait_for_output(step)
    upgrade.kill()
    assert upgrade.wait() != 0


def test_upgrade_brings_everything_and_keeps_the_old_volume(prod: Stack) -> None:
    before = content(prod)
    started = time.monotonic()
    said = prod.make("prod-pg-upgrade", f"MAJOR={MAJOR}")
    print(f"{said}\nupgrade of {CUSTOMERS} customers: {time.monotonic() - started:.1f} s")
    assert (version(prod), volumes(prod)) == (MAJOR, [FORMER, MAJOR])
    assert content(prod) == before
    assert f"PostgreSQL 18 serves. The old data stays in volume {prod.project}_postgres_17" in said
    # The volume is mounted where the image of 18 declares its own, and no volume without a name was made.
    mounts = {
        mount["Destination"]: mount.get("Name") for mount in prod.inspect("db")["Mounts"] if mount["Type"] == "volume"
    }
    assert mounts == {"/var/lib/postgresql": f"{prod.project}_postgres_18"}
    assert "upgrade" in prod.make("prod-status")


def test_backup_after_the_upgrade_is_of_the_new_version(prod: Stack) -> None:
    said = prod.make("prod-backup")
    (name,) = re.findall(r"Backup (\S+):", said)
    assert '"server_version": "18' in prod.within("backup", "cat", f"/backups/{name}/manifest.json")
    prod.make("prod-restore", f"BACKUP={name}", "FORCE=1")


def test_tier_restarts_on_the_new_version(prod: Stack) -> None:
    prod.make("prod-down")
    prod.make("prod-up")
    assert version(prod) == MAJOR

"""A prod tier whose PostgreSQL, cache and broker are elsewhere: other servers, reached by TLS, without a superuser."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.checkout import SOURCE
from e2e.managed import BUNDLED, OVERLAY, SQL, add_servers, name_servers, render
from e2e.observability.observed import query
from e2e.site import Site, ask
from e2e.stack import DATABASE, Stack, bare_environment, docker, free_ports, remove_project, seconds_until

CUSTOMERS = """
from customers.models import Customer
Customer.objects.bulk_create(
    Customer(given_name="Zoe", family_name=f"Ng {n}", stage="lead", source="stand") for n in range(50)
)
"""
COUNT = "from customers.models import Customer; print(Customer.objects.count())"


def test_bundled_servers_are_left_out(tmp_path: Path, engine: None) -> None:
    settings = name_servers("managed.test") | {"MANAGED_CA": "/dev/null"}

    services = json.loads(render(tmp_path, **settings).stdout)["services"]

    assert not services.keys() & BUNDLED
    for service in ("web", "migrate", "celery-worker", "celery-certificates", "celery-beat", "backup"):
        assert services[service]["networks"].keys() & {"outside", "frontend"}, f"{service} has no way out"
    assert json.loads(render(tmp_path, **settings, COMPOSE_PROFILES="local-db").stdout)["services"].keys() > BUNDLED


def make(target: str, env_file: Path, *options: str) -> str:
    command = ["make", *options, target, f"PROD_ENV={env_file}"]
    said = subprocess.run(command, cwd=SOURCE, env=bare_environment(), capture_output=True, text=True).stdout
    return " ".join(said.split())


@pytest.mark.parametrize(
    ("target", "line", "files"),
    [
        ("prod-logs", "", "-f docker-compose.prod.yml logs"),
        ("prod-logs", "COMPOSE_FILE=x.yml\n", "logs"),
        ("caddy-logs", "", "-f docker-compose.caddy.yml logs"),
        ("caddy-logs", f"COMPOSE_FILE=docker-compose.caddy.yml:{OVERLAY}\n", "logs"),
    ],
)
def test_make_takes_the_files_that_the_env_file_names(target: str, line: str, files: str, tmp_path: Path) -> None:
    env_file = tmp_path / "production"
    env_file.write_text(line)
    assert f"docker compose --env-file {env_file} {files}" in make(target, env_file, "--dry-run")


def test_caddy_is_not_started_from_the_files_of_nginx(tmp_path: Path) -> None:
    env_file = tmp_path / "production"
    env_file.write_text(f"COMPOSE_FILE=docker-compose.prod.yml:{OVERLAY}\n")
    assert make("caddy-logs", env_file) == f"COMPOSE_FILE in {env_file} does not begin with docker-compose.caddy.yml."


@pytest.mark.parametrize("missing", ["POSTGRES_HOST", "REDIS_URL", "BROKER_URL", "MANAGED_CA"])
def test_missing_setting_is_named(missing: str, tmp_path: Path, engine: None) -> None:
    settings = name_servers("managed.test") | {"MANAGED_CA": "/dev/null"}
    del settings[missing]

    done = render(tmp_path, **settings)

    assert done.returncode
    assert f"{missing} is missing a value: is not set. docs/scaling.md" in done.stderr


@dataclass
class Managed:
    stack: Stack

    def python(self, script: str) -> str:
        return self.stack.within("web", "python", "manage.py", "shell", "-v0", "-c", script).strip()

    def sql(self, statement: str) -> str:
        """Run the statement as the provider."""
        return self.stack.within(
            "postgres", "sh", "-c", f'PGPASSWORD=of-the-provider {SQL} -U postgres -d {DATABASE} -c "$0"', statement
        ).strip()

    def check(self, *, fails: bool, **settings: str) -> str:
        """Try to connect with other settings."""
        former = self.stack.environment
        self.stack.environment = former | settings
        try:
            return self.stack.compose(
                "run", "--rm", "--no-deps", "-T", "migrate", "python", "manage.py", "check_servers", fails=fails
            )
        finally:
            self.stack.environment = former


@pytest.fixture(scope="module")
def managed(stack_of: Callable[[str], Stack]) -> Managed:
    stack = stack_of("prod")
    # As users have it: one name in the env file, also for what watches the tier.
    name = stack.environment.pop("COMPOSE_PROJECT_NAME")
    stack.environment["COMPOSE_PROJECT"], stack.project = name, f"{name}-prod"
    del stack.environment["VERSION"]
    add_servers(stack)
    stack.make("prod-up")
    stack.create_administrator()
    return Managed(stack)


@pytest.mark.full
def test_tier_runs_without_servers_of_its_own(managed: Managed) -> None:
    running = set(managed.stack.compose("ps", "--services").split())
    assert not running & BUNDLED
    assert ask(Site("localhost", managed.stack.ports["nginx"]), "GET", "/api/v1/ready/").status == 200
    assert managed.sql("SELECT rolsuper, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = 'app'") == "f|f|f"
    assert (
        managed.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'")
        == "t"
    )


@pytest.mark.full
@pytest.mark.parametrize(
    ("domain", "authority", "reasons"),
    [
        ("managed.test", "other", {"DATABASE_URL": "certificate verify failed", "_URL": "CERTIFICATE_VERIFY_FAILED"}),
        ("other.test", "ca", {"DATABASE_URL": "does not match host name", "_URL": "Hostname mismatch"}),
        ("plain.test", "ca", {"DATABASE_URL": "server does not support SSL", "_URL": "Timeout connecting"}),
    ],
)
def test_server_that_is_not_the_right_one_is_refused(
    domain: str, authority: str, reasons: dict[str, str], managed: Managed
) -> None:
    said = managed.check(fails=True, **name_servers(domain), MANAGED_CA=f"./tls/{authority}.pem")

    print(said[-800:])
    assert re.search(rf"DATABASE_URL: .*{reasons['DATABASE_URL']}", said)
    assert re.search(rf"REDIS_URL: .*{reasons['_URL']}", said)
    assert re.search(rf"BROKER_URL: .*{reasons['_URL']}", said)


@pytest.mark.full
def test_backup_is_drilled_and_restored_by_the_role_of_the_application(managed: Managed) -> None:
    managed.python(CUSTOMERS)
    (name,) = re.findall(r"Backup (\S+):", managed.stack.make("prod-backup"))
    assert "match the backup" in managed.stack.make("prod-restore-drill")
    managed.python("from customers.models import Customer; Customer.objects.all().delete()")

    said = managed.stack.make("prod-restore", f"BACKUP={name}", "FORCE=1")

    print(said[-600:])
    assert managed.python(COUNT) == "50"
    assert not set(managed.stack.compose("ps", "--services").split()) & BUNDLED


@pytest.mark.full
def test_deploy_starts_no_server(managed: Managed) -> None:
    managed.stack.make("prod-deploy")

    assert not set(managed.stack.compose("ps", "--all", "--services").split()) & BUNDLED
    assert managed.check(fails=False).strip().endswith("DATABASE_URL, REDIS_URL, BROKER_URL can be reached.")


@pytest.fixture
def prometheus(managed: Managed) -> Iterator[int]:
    """Return the port of a Prometheus that watches the tier, whose exporters reach the provider."""
    name, (port,) = managed.stack.environment["COMPOSE_PROJECT"], free_ports(1)
    managed.stack.environment["PROMETHEUS_PORT"] = str(port)
    network = f"{name}-observability_default"
    servers = {"postgres": "postgres", "redis-of-cache": "cache", "redis-of-broker": "broker"}
    managed.stack.make("obs-up")
    for service, server in servers.items():
        alias = ["--alias", f"{server}.managed.test"]
        docker("network", "connect", *alias, network, managed.stack.container(service))
    yield port
    for service in servers:
        docker("network", "disconnect", network, managed.stack.container(service))
    remove_project(f"{name}-observability")


@pytest.mark.full
def test_servers_of_the_provider_are_watched_by_verified_tls(managed: Managed, prometheus: int) -> None:
    def count(value: int) -> int:
        return len(query(prometheus, f"pg_up == {value} or redis_up == {value}"))

    seconds_until(lambda: count(1) == 3 and not query(prometheus, "up == 0"), 60)
    time.sleep(45)  # for which an alert would be pending; those of this machine's disk may be
    assert query(prometheus, 'ALERTS{severity!="none",job!="node"}') == []
    # Paused, it would have accepted connections: then only ExporterDown fires.
    docker("kill", managed.stack.container("redis-of-broker"))
    seconds_until(lambda: "BrokerDown" in managed.stack.make("obs-status"), 60)
    docker("start", managed.stack.container("redis-of-broker"))
    managed.stack.environment["MANAGED_CA"] = "./tls/other.pem"
    managed.stack.make("obs-up")
    managed.stack.environment["MANAGED_CA"] = "./tls/ca.pem"
    seconds_until(lambda: count(0) == 3, 60)


@pytest.mark.full
def test_upgrade_of_postgresql_is_left_to_the_provider(managed: Managed) -> None:
    assert "PostgreSQL is not part of this tier." in managed.stack.make("prod-pg-upgrade", "MAJOR=18", fails=True)

"""A staging tier, beside the prod tier of the same server."""

import base64
import dataclasses
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy import env_file
from deploy.deployments import Deployments
from e2e import mail_server
from e2e.acme import NAME, authority, names
from e2e.checkout import SOURCE
from e2e.site import Site, ask
from e2e.stack import (
    ADMINISTRATOR,
    DATABASE,
    Stack,
    bare_environment,
    docker,
    free_ports,
    pick_subnets,
    remove_project,
    seconds_until,
)

PROTECTED = ["/", "/admin/login/", "/static/admin/css/base.css", "/unsubscribe/x/"]
OPEN = ["/health/", "/api/v1/ready/"]
# What may differ between the rendered files, besides names that begin with that of the project.
DIFFERENT = {"FORWARDED_ALLOW_IPS", "EMAIL_REDIRECT_TO", "SENTRY_ENVIRONMENT", "ACME_DIRECTORY", "HTTPS_PORT"}
DIFFERENT |= {"published", "subnet", "name", "image"}
# Nobody else has such a name.
PERSON = ("Ingeborg", "ohm-leuchten", "4930901820")
SEED = """
INSERT INTO customers_customer (given_name, family_name, email, phone, phone_e164, job_title, country, stage, source,
                                notes, photo)
  SELECT 'Ingeborg', 'Ohm ' || n, n || '@ohm-leuchten.example', '+4930901820', '+4930901820', 'Prokuristin', 'DE',
         'lead', 'stand', '', '' FROM generate_series(1, 100) n;
"""
FILE = "docker-compose.staging.yml"
ENQUEUE = f"""
from core_apps.accounts.background import send_password_reset
send_password_reset.enqueue(email="{ADMINISTRATOR}", language="en", host="localhost", https=True)
"""


def render(tier: str) -> dict[str, Any]:
    """Return the model that Compose reads from the file, with the defaults of its settings."""
    secrets = [
        "SECRET_KEY",
        "REDIS_PASSWORD",
        *(f"POSTGRES_{role}PASSWORD" for role in ("", "APP_", "BACKUP_", "METRICS_")),
    ]
    environment = bare_environment() | dict.fromkeys([*secrets, "DOMAIN"], "x")
    command = ["docker", "compose", "--profile", "*", "-f", f"docker-compose.{tier}.yml", "config", "--format", "json"]
    done = subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True, check=True)
    model: dict[str, Any] = json.loads(done.stdout)
    model.pop("x-environment", None)
    return model


def find_differences(one: Any, other: Any, key: str = "") -> Iterator[str]:
    """Yield the names of the values that differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from find_differences(one.get(name), other.get(name), name)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for pair in zip(one, other, strict=True):
            yield from find_differences(*pair, key)
    elif one != other:
        yield key


def test_staging_is_the_prod_tier_but_for_a_few_values(engine: None) -> None:
    found = set(find_differences(render("prod"), render("staging")))
    print(f"{len(found)} keys differ: {sorted(found)}")
    assert found == DIFFERENT


@dataclasses.dataclass
class Server:
    prod: Stack
    staging: Stack
    said: str  # by the first start of staging
    all: Stack  # staging, and a mail server

    @property
    def site(self) -> Site:
        return Site("localhost", self.staging.ports["nginx"])

    @property
    def credentials(self) -> dict[str, str]:
        password = env_file.read(self.staging.env_file)["SITE_PASSWORD"]
        return {"Authorization": "Basic " + base64.b64encode(f"staging:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def server(stack_of: Callable[[str], Stack]) -> Iterator[Server]:
    prod = stack_of("prod")
    # As users have it: one name in both env files.
    name = prod.environment.pop("COMPOSE_PROJECT_NAME")
    prod.environment["COMPOSE_PROJECT"], prod.project = name, f"{name}-prod"
    http, https = free_ports(2)
    changes = {"COMPOSE_FILE": f"{FILE}:mail.yml", "COMPOSE_ENV_FILES": ".envs/staging/.env"}
    # Docker may have given those of staging.env to another network.
    environment = prod.environment | pick_subnets() | changes | {"HTTP_PORT": str(http), "HTTPS_PORT": str(https)}
    facts = {"tier": "staging", "project": f"{name}-staging", "ports": {"nginx": https}, "environment": environment}
    staging = dataclasses.replace(prod, **facts)
    (prod.checkout / "mail.yml").write_text(mail_server.SERVICE)
    (prod.checkout / "mail.py").write_text(mail_server.SCRIPT)
    prod.make("prod-up")
    run = dataclasses.replace(staging, environment=environment | {"COMPOSE_FILE": FILE})
    run.make("staging-env")
    with staging.env_file.open("a") as file:
        file.write("EMAIL_HOST=mail\nEMAIL_PORT=2525\nEMAIL_USE_TLS=false\n")
    try:
        said = run.make("staging-up")
        staging.compose("up", "--detach", "mail")
        yield Server(prod, run, said, staging)
    finally:
        remove_project(staging.project)


@pytest.mark.full
def test_both_run_one_image(server: Server) -> None:
    assert server.prod.inspect("web")["Image"] == server.staging.inspect("web")["Image"]
    assert server.prod.health("nginx") == server.staging.health("nginx") == "healthy"


@pytest.mark.full
def test_deploy_of_staging_leaves_prod_alone(server: Server) -> None:
    versions = "returnable", "failed", "staged"
    for image in ("exhibition-crm", "exhibition-crm-certificates"):
        for version in versions:
            docker("tag", f"{image}:{server.prod.environment['VERSION']}", f"{image}:{version}")
    prod, staging = (Deployments(stack.env_file) for stack in (server.prod, server.staging))
    prod.record("deploy", "returnable", 1, "ok")
    for version in versions[:2]:
        staging.record("deploy", version, 1, "web-2 is not ready")
    before = [file.read_text() for file in (prod.env_file, prod.history_file)], server.prod.containers("web")
    server.staging.make("staging-deploy", "VERSION=staged")
    assert server.staging.inspect("web")["Config"]["Image"] == "exhibition-crm:staged"
    assert staging.version() == "staged"
    after = [file.read_text() for file in (prod.env_file, prod.history_file)], server.prod.containers("web")
    assert after == before
    images = docker("image", "ls", "--format", "{{.Tag}}", "exhibition-crm").split()
    assert [version for version in versions if version in images] == ["returnable", "staged"]


@pytest.mark.full
def test_commands_that_staging_names_are_its_own(server: Server) -> None:
    commands = ["scale"], ["rollback", "VERSION=none"], ["restore", "BACKUP=none"]
    refused = [server.staging.make(f"staging-{name}", *values, fails=True) for name, *values in commands]
    said = "".join([server.said, server.staging.make("staging-status"), *refused])
    assert set(re.findall(r"\bmake (\w+)-\w", said)) == {"staging"}


@pytest.mark.full
@pytest.mark.parametrize("path", PROTECTED)
def test_visitors_are_asked_for_the_password(path: str, server: Server) -> None:
    without = ask(server.site, "GET", path)
    assert (without.status, without.headers["WWW-Authenticate"]) == (401, 'Basic realm="staging"')
    assert without.headers["X-Robots-Tag"] == "noindex"
    assert ask(server.site, "GET", path, {"Authorization": "Basic c3RhZ2luZzpz"}).status == 401
    assert ask(server.site, "GET", path, server.credentials).status in (200, 302, 404)


@pytest.mark.full
@pytest.mark.parametrize("path", OPEN)
def test_probes_need_no_password(path: str, server: Server) -> None:
    assert ask(server.site, "GET", path).status == 200


@pytest.mark.full
def test_clients_of_the_api_send_their_token(server: Server) -> None:
    answer = ask(server.site, "GET", "/api/v1/customers/", {"Authorization": "Bearer x"})
    assert (answer.status, answer.headers["Content-Type"]) == (401, "application/problem+json")
    # Nothing but the API.
    assert ask(server.site, "GET", "/api/../admin/login/", {"Authorization": "Bearer x"}).headers[
        "WWW-Authenticate"
    ] == ('Basic realm="staging"')


@pytest.mark.full
def test_refreshed_staging_has_the_rows_of_prod_and_no_person(server: Server) -> None:
    server.prod.within("db", "psql", "-qX", "-U", DATABASE, "-c", SEED)
    server.prod.make("prod-backup")
    server.staging.make("staging-refresh", "FORCE=1")
    server.staging.wait_to_be("healthy", "web")
    dump = server.staging.within("db", "pg_dumpall", "--username", DATABASE)
    assert [text for text in PERSON if text in dump] == []
    assert len(re.findall(r"^.*customer\d+@example.com.*$", dump, re.M)) == 100


@pytest.mark.full
def test_mail_goes_to_one_address(server: Server) -> None:
    server.staging.create_administrator()
    server.staging.within("web", "python", "manage.py", "shell", "-v0", "-c", ENQUEUE)
    mail = server.all.container("mail")
    seconds_until(lambda: "To: " in docker("logs", mail), 30)
    assert re.findall(r"^To: (.*)$", docker("logs", mail), re.M) == ["staging@localhost"]


@pytest.fixture
def with_taken_subnet(stack_of: Callable[[str], Stack]) -> Iterator[Stack]:
    """A staging tier, not started, with addresses that another network has."""
    stack = stack_of("staging")
    docker("network", "create", "--subnet", stack.environment["BACKEND_SUBNET"], f"{stack.project}-taken")
    yield stack
    docker("network", "rm", f"{stack.project}-taken")


def test_network_with_the_same_addresses_is_named(with_taken_subnet: Stack) -> None:
    said = with_taken_subnet.make("staging-up", fails=True)
    subnet = with_taken_subnet.environment["BACKEND_SUBNET"]
    assert f"BACKEND_SUBNET={subnet} overlaps with {subnet} of the network {with_taken_subnet.project}-taken" in said


CERTIFICATES = "find /etc/letsencrypt /certificates -type f -exec sha256sum {} + | sort"


@pytest.mark.full
def test_certificate_of_staging_comes_from_its_own_authority(server: Server) -> None:
    before = server.prod.within("certbot", "sh", "-c", CERTIFICATES)
    staging = dataclasses.replace(server.staging, environment=dict(server.staging.environment))
    pebble = authority(staging)
    pebble.start()
    staging.make("staging-up")
    seconds_until(lambda: pebble.orders() > 0 and names(pebble.site().certificate()) == [NAME], 30)
    # The challenge needs no password, but everything else.
    assert ask(pebble.site(), "GET", "/admin/login/").status == 401
    assert before
    assert server.prod.within("certbot", "sh", "-c", CERTIFICATES) == before

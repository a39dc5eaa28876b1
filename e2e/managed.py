"""Servers of a provider, beside a prod tier that uses them: reached by TLS, and without a superuser."""

import os
import re
import subprocess
from pathlib import Path

import trustme

from deploy import env_file
from e2e.checkout import SOURCE
from e2e.stack import Stack, bare_environment

OVERLAY = "docker/compose/managed.yml"
BUNDLED = {"db", "roles", "redis", "broker", "barman"}
# The provider's servers, by a name that their certificate has and by one that it lacks; and two without TLS.
SERVERS = """
services:
  postgres: &postgres
    image: postgres:17-trixie
    user: "999:999"
    command: [postgres, -c, ssl=on, -c, ssl_cert_file=/tls/certificate.pem, -c, ssl_key_file=/tls/key.pem]
    environment: {POSTGRES_PASSWORD: of-the-provider}
    volumes: ["./tls:/tls:ro"]
    networks: {outside: {aliases: [postgres.managed.test, postgres.other.test]}}
  redis-of-cache: &redis
    image: redis:8-trixie
    user: "999:999"
    command: &options
      [redis-server, --port, "0", --tls-port, "6379", --tls-auth-clients, "no", --requirepass, long-enough-for-a-test,
       --tls-cert-file, /tls/certificate.pem, --tls-key-file, /tls/key.pem]
    volumes: ["./tls:/tls:ro"]
    networks: {outside: {aliases: [cache.managed.test, cache.other.test]}}
  redis-of-broker:
    <<: *redis
    networks: {outside: {aliases: [broker.managed.test, broker.other.test]}}
  plain-postgres:
    <<: *postgres
    command: [postgres]
    networks: {outside: {aliases: [postgres.plain.test]}}
  plain-redis:
    <<: *redis
    command: [redis-server]
    networks: {outside: {aliases: [cache.plain.test, broker.plain.test]}}
"""
SQL = "psql --no-psqlrc -qtAX -h 127.0.0.1"
# What a provider gives: somebody who may create roles and databases, but is no superuser.
PROVIDER = """
CREATE ROLE customer LOGIN CREATEROLE CREATEDB PASSWORD 'of-the-customer';
GRANT pg_monitor TO customer WITH ADMIN OPTION
"""


def name_servers(domain: str) -> dict[str, str]:
    """Return the settings of servers in this domain."""
    urls = {
        setting: f"rediss://:long-enough-for-a-test@{name}.{domain}:6379/0?ssl_ca_certs=/etc/managed-ca.pem"
        for setting, name in {"REDIS_URL": "cache", "BROKER_URL": "broker"}.items()
    }
    return urls | {"POSTGRES_HOST": f"postgres.{domain}"}


def render(directory: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Ask Compose for the model of the files that an env file in this directory names."""
    env_file = dict.fromkeys(["SECRET_KEY", "REDIS_PASSWORD", "DOMAIN"], "x")
    env_file |= {f"POSTGRES_{role}PASSWORD": "x" for role in ("", "APP_", "BACKUP_", "METRICS_")}
    env_file |= {"COMPOSE_FILE": f"docker-compose.prod.yml:{OVERLAY}"} | settings
    file = directory / "production"
    file.write_text("".join(f"{name}={value}\n" for name, value in env_file.items()))
    command = ["docker", "compose", "--env-file", str(file), "config", "--format", "json"]
    return subprocess.run(command, cwd=SOURCE, env=bare_environment(), capture_output=True, text=True)


def write_certificates(directory: Path, ca: trustme.CA) -> None:
    """Write what the servers need, readable for their user alone."""
    directory.mkdir()
    server = ca.issue_cert(*(f"{name}.managed.test" for name in ("postgres", "cache", "broker")))
    server.cert_chain_pems[0].write_to_path(str(directory / "certificate.pem"))
    server.private_key_pem.write_to_path(str(directory / "key.pem"))
    os.chown(directory / "key.pem", 999, 999)
    (directory / "key.pem").chmod(0o600)
    for file, authority in {"ca.pem": ca, "other.pem": trustme.CA()}.items():
        authority.cert_pem.write_to_path(str(directory / file))


def add_servers(stack: Stack) -> None:
    """Start the provider's servers, and configure the tier for them."""
    write_certificates(stack.checkout / "tls", trustme.CA())
    stack.environment["COMPOSE_FILE"] += f":{OVERLAY}"
    stack.overlay("servers.yml", SERVERS)
    stack.environment |= name_servers("managed.test") | {"MANAGED_CA": "./tls/ca.pem"}
    stack.make("prod-env")
    servers = re.findall(r"^  ([a-z-]+):", SERVERS, re.M)
    stack.compose("up", "--detach", "--no-deps", *servers)
    create_database(stack)


def create_database(stack: Stack) -> None:
    """As docs/scaling.md says, with the administrator that the provider gives."""
    values = env_file.read(stack.checkout / ".envs/.env.production")
    stack.within(
        "postgres",
        "sh",
        "-c",
        f'until pg_isready -q -h 127.0.0.1; do sleep 0.2; done; {SQL} -U postgres -c "$0"',
        PROVIDER,
    )
    script = (stack.checkout / "docker/postgres/managed.sql").read_text()
    command = f'echo "$0" | PGPASSWORD=of-the-customer {SQL} -U customer -d postgres'
    command += (
        f" -v password={values['POSTGRES_APP_PASSWORD']} -v metrics_password={values['POSTGRES_METRICS_PASSWORD']}"
    )
    stack.within("postgres", "sh", "-c", command, script)

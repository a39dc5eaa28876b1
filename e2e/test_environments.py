"""What Compose gives to which service, from an env file that has every variable; nothing is started."""

import json
import re
from pathlib import Path

import pytest

from e2e.environments import BASIC, CADDY, OBSERVABILITY, PROD, list_variables
from e2e.stack import new_stack

# Compose checks what these are.
TYPED = {"ACME_CA_BUNDLE", "WEB_BIND", "WEB_REPLICAS", "WORKER_REPLICAS", "POSTGRES_MAJOR"}
TYPED |= {"HTTP_PORT", "HTTPS_PORT", "WEB_PORT", "DB_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT"}
TYPED |= {"LOGS_CA", "LOGS_DIRECTORY", "ENV_DIRECTORY", "MANAGED_CA"}
PRODUCTION = ".envs/.env.production"
TIERS = [
    ("basic", ".env", BASIC),
    ("prod", PRODUCTION, PROD),
    ("caddy", PRODUCTION, CADDY),
    ("observability", PRODUCTION, OBSERVABILITY),
]


@pytest.mark.parametrize(("tier", "env_file", "expected"), TIERS)
def test_service_is_given_its_own_variables(
    tmp_path: Path, tier: str, env_file: str, expected: dict[str, set[str]]
) -> None:
    stack = new_stack(tier, tmp_path)
    (stack.checkout / ".envs").mkdir()
    every = re.findall(r"^#?([A-Z_]+)=", (stack.checkout / ".env.example").read_text(), re.M)
    lines = [f"{name}=value" for name in every if name not in TYPED | stack.environment.keys()]
    (stack.checkout / env_file).write_text("\n".join([*lines, "RCLONE_CONFIG_WRONG_FILE=value", ""]))
    (stack.checkout / ".envs/.env.rclone").write_text("RCLONE_CONFIG_FAR_TYPE=webdav\n")
    assert list_variables(stack) == expected


def test_services_with_a_way_out_are_known(tmp_path: Path) -> None:
    stack = new_stack("prod", tmp_path)
    (stack.checkout / ".envs").mkdir()
    secrets = ("SECRET_KEY", "POSTGRES_PASSWORD", "POSTGRES_APP_PASSWORD", "POSTGRES_BACKUP_PASSWORD", "REDIS_PASSWORD")
    lines = [f"{name}=value\n" for name in (*secrets, "DOMAIN")]
    (stack.checkout / ".envs/.env.production").write_text("".join(lines))
    config = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))
    ways = {name for name, network in config["networks"].items() if not network.get("internal")}
    found = {name for name, service in config["services"].items() if ways & (service.get("networks") or {}).keys()}
    assert found == {"web", "celery-worker", "nginx", "certbot", "backup", "barman"}

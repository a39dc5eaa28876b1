"""The stack file for Docker Swarm, without a swarm."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.checkout import SOURCE
from e2e.stack import bare_environment

VALUES = {
    "SECRET_KEY": "key-with-$$-inside",
    "POSTGRES_PASSWORD": "of-postgres",
    "POSTGRES_APP_PASSWORD": "of-app",
    "POSTGRES_BACKUP_PASSWORD": "of-backup",
    "POSTGRES_METRICS_PASSWORD": "of-metrics",
    "REDIS_PASSWORD": "of-redis",
    "EMAIL_HOST_PASSWORD": "of-mail",
    "DOMAIN": "crm.example.com",
    "IMAGE_REPOSITORY": "registry.example.com/crm",
}
# Two ways to have photos on more than one node
SHARED = """
volumes:
  media_volume:
    driver_opts: {type: nfs, o: "addr=10.0.0.5,rw", device: ":/media"}
"""
BUCKET = "services: {web: {environment: {MEDIA_BUCKET: photos}}}"
MANAGED = {
    "COMPOSE_FILE": "docker-compose.prod.yml:docker/compose/managed.yml",
    "POSTGRES_HOST": "db.example.com",
    "REDIS_URL": "rediss://:of-the-cache@cache.example.com:6379/0",
    "BROKER_URL": "rediss://:of-the-broker@broker.example.com:6379/0",
    "MANAGED_CA": "./LICENSE",
}
Document = dict[str, Any]


def start_render(folder: Path, version: str = "1.2.0", **settings: str) -> subprocess.CompletedProcess[str]:
    env_file = folder / "production"
    values = {"COMPOSE_FILE": "docker-compose.prod.yml"} | VALUES | settings
    env_file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    environment = bare_environment() | {"COMPOSE": f"docker compose --env-file {env_file}", "ENV_FILE": str(env_file)}
    command = ["python3", "-m", "deploy.render_swarm", str(folder / "out"), version]
    return subprocess.run(command, cwd=SOURCE, env=environment, capture_output=True, text=True)


def render(folder: Path, **settings: str) -> Document:
    done = start_render(folder, **settings)
    assert done.returncode == 0, done.stderr
    stack: Document = json.loads((folder / "out/stack.json").read_text())
    return stack


def ask_swarm(folder: Path, stack: Document) -> str:
    """What `docker stack deploy` says of the file, before it looks for an engine."""
    file = folder / "asked.json"
    file.write_text(json.dumps(stack))
    command = ["docker", "stack", "deploy", "--detach", "--compose-file", str(file), "none"]
    environment = bare_environment() | {"DOCKER_HOST": "unix:///nonexistent"}
    return subprocess.run(command, env=environment, capture_output=True, text=True).stderr


def find_weaknesses(stack: Document) -> Iterator[str]:
    """What Swarm accepts, or drops without a word, and we do not."""
    for name, service in stack["services"].items():
        yield from (f"{name} {weakness}" for weakness in weaknesses(service))
        if missing := set(service["networks"]) - stack["networks"].keys():
            yield f"{name} has no network {missing}"
        local = {one["source"] for one in service.get("volumes", []) if one["type"] == "volume"}
        shared = {volume for volume in local if stack["volumes"][volume].get("driver_opts")}
        if local - shared and not service["deploy"].get("placement"):
            yield f"{name} finds its data on one node, and runs on any"


def weaknesses(service: Document) -> Iterator[str]:
    deploy, variables = service["deploy"], service.get("environment", {})
    if not service.get("read_only") or service.get("cap_drop") != ["ALL"] or service.get("cap_add"):
        yield "may write or has capabilities"
    if deploy["resources"]["limits"].keys() != {"cpus", "memory", "pids"}:
        yield f"has limits of {[*deploy['resources']['limits']]} only"
    if "tmpfs" in service:
        yield "has tmpfs, which Swarm drops"
    if deploy.get("endpoint_mode") != "dnsrr" and "mode" not in deploy:
        yield "has a virtual address"
    if readable := [name for name in VALUES if name != "DOMAIN" and variables.get(name)]:
        yield f"has {', '.join(readable)} in its environment"
    if any(port["mode"] != "host" for port in service.get("ports", [])):
        yield "does not see who asks"


@pytest.mark.parametrize("others", [{}, MANAGED], ids=["bundled", "managed"])
def test_stack_is_accepted_without_a_warning(others: dict[str, str], tmp_path: Path, engine: None) -> None:
    stack = render(tmp_path, **others)

    assert ask_swarm(tmp_path, stack).startswith("Cannot connect to the Docker daemon")
    assert [*find_weaknesses(stack)] == []
    assert ("db" in stack["services"]) == (not others)


@pytest.mark.parametrize(
    ("service", "change", "found"),
    [
        ("web", {"security_opt": ["no-new-privileges:true"]}, "Ignoring unsupported options: security_opt"),
        ("db", {"shm_size": "128m"}, "Ignoring unsupported options: shm_size"),
        ("web", {"mem_limit": "1g"}, "unsupported options"),
        ("web", {"pids_limit": 100}, "pids_limit is not allowed"),
        ("web", {"tmpfs": ["/tmp:size=16m"]}, "web has tmpfs"),
        ("web", {"read_only": False}, "web may write"),
        ("celery-worker", {"cap_drop": ["NET_RAW"]}, "celery-worker may write or has capabilities"),
        (
            "celery-beat",
            {"deploy": {"resources": {"limits": {"memory": "1g"}}}},
            "celery-beat has limits of ['memory']",
        ),
        ("redis", {"deploy": {"resources": {"limits": {}}, "endpoint_mode": "vip"}}, "redis has a virtual address"),
        ("web", {"environment": {"SECRET_KEY": "x"}}, "web has SECRET_KEY in its environment"),
        ("nginx", {"ports": [{"target": 8443, "published": 443, "mode": "ingress"}]}, "nginx does not see who asks"),
        ("web", {"deploy": {"resources": {"limits": {}}, "placement": {}}}, "web finds its data on one node"),
    ],
)
def test_fault_in_a_stack_is_found(service: str, change: Document, found: str, tmp_path: Path, engine: None) -> None:
    stack = render(tmp_path)
    stack["services"][service] |= change

    assert found in ask_swarm(tmp_path, stack) + "".join(find_weaknesses(stack))


def test_secrets_are_files_named_after_their_content(tmp_path: Path, engine: None) -> None:
    before = render(tmp_path)
    secrets = {file.name.rpartition("_")[0]: file.read_text() for file in (tmp_path / "out/secrets").iterdir()}

    assert {name: content for name, content in secrets.items() if not name.endswith("_URL")} == {
        "SECRET_KEY": "key-with-$-inside",
        "POSTGRES_PASSWORD": "of-postgres",
        "EMAIL_HOST_PASSWORD": "of-mail",
    }
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / "out").rglob("*_*")} == {"0o600"}
    assert before["services"]["web"]["environment"]["DATABASE_URL_FILE"] == "/run/secrets/DATABASE_URL"
    after = render(tmp_path, SECRET_KEY="another-key")
    assert len(after["secrets"].keys() - before["secrets"].keys()) == 1
    assert len(list((tmp_path / "out/secrets").iterdir())) == len(after["secrets"])


@pytest.mark.parametrize("overlay", [SHARED, BUCKET], ids=["volume", "bucket"])
def test_web_runs_everywhere_where_its_media_are(overlay: str, tmp_path: Path, engine: None) -> None:
    (tmp_path / "overlay.yml").write_text(overlay)
    bound, shared = (
        {name for name, service in render(tmp_path, COMPOSE_FILE=files)["services"].items() if is_bound(service)}
        for files in ("docker-compose.prod.yml", f"docker-compose.prod.yml:{tmp_path}/overlay.yml")
    )

    assert bound - shared == {"web", "celery-worker", "celery-certificates"}
    assert shared == {"db", "redis", "broker", "nginx", "certbot", "backup", "migrate", "roles", "drill"}


def is_bound(service: Document) -> bool:
    return service["deploy"].get("placement") == {"constraints": ["node.labels.crm.data == true"]}


def test_memory_is_as_large_as_in_compose(tmp_path: Path, engine: None) -> None:
    volumes = render(tmp_path)["services"]["db"]["volumes"]

    sizes = {one["target"]: one["tmpfs"]["size"] >> 20 for one in volumes if one["type"] == "tmpfs"}
    assert sizes == {"/tmp": 64, "/var/run/postgresql": 1, "/var/lib/postgresql/data": 1, "/dev/shm": 128}


def test_service_is_replaced_as_it_can_be_and_returned_when_that_fails(tmp_path: Path, engine: None) -> None:
    services = render(tmp_path)["services"]
    updates = {name: one["deploy"]["update_config"] for name, one in services.items() if "mode" not in one["deploy"]}

    first = {name for name, update in updates.items() if update["order"] == "start-first"}
    assert first == {"web", "celery-worker", "celery-certificates"}
    assert {update["failure_action"] for update in updates.values()} == {"rollback"}


def test_migrate_is_a_job_that_comes_before_the_rest(tmp_path: Path, engine: None) -> None:
    services = render(tmp_path)["services"]

    assert [*services][:4] == ["node-check", "db", "roles", "migrate"]
    modes = {name: service["deploy"].get("mode") for name, service in services.items()}
    jobs = {"node-check": "global-job", "roles": "replicated-job", "migrate": "replicated-job"}
    assert modes == dict.fromkeys(services) | jobs


def test_images_of_the_application_have_the_name_of_the_registry(tmp_path: Path, engine: None) -> None:
    images = {name: service["image"] for name, service in render(tmp_path)["services"].items()}

    assert images["web"] == images["migrate"] == images["node-check"] == "registry.example.com/crm:1.2.0"
    assert images["celery-certificates"] == "registry.example.com/crm-certificates:1.2.0"
    assert (images["nginx"], images["redis"]) == ("exhibition-crm-prod-nginx", "redis:8-trixie")


@pytest.mark.parametrize("version", ["", "@sha256:1", "a b"])
def test_version_that_is_no_tag_is_refused(version: str, tmp_path: Path) -> None:
    done = start_render(tmp_path, version)

    assert (done.returncode, done.stderr) == (1, f"VERSION={version!r} is not the tag of an image, such as 1.2.0\n")

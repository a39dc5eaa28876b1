"""The task definitions for Amazon ECS, without an account."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.checkout import SOURCE
from e2e.ecs import definitions
from e2e.ecs.definitions import CERTIFICATES_DIGEST, DIGEST, FOLDER, Definition, container_of, load
from e2e.kubernetes.manifests import TOOLS

NAMES = ("migrate", "web", "worker", "certificates", "beat")
Check = Callable[[Path], Any]
CHECKS: dict[str, Check] = {
    "parameters": definitions.find_unknown_parameters,
    "properties": definitions.find_invalid_properties,
    "safety": definitions.find_unsafe,
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not TOOLS.exists():
        pytest.fail("cfn-lint and others are missing: make ecs-check installs them")
    return definitions.copy_sources(tmp_path_factory.mktemp("ecs"))


@pytest.fixture(scope="module")
def rendered(sources: Path) -> dict[str, Definition]:
    return {name: load(file) for name, file in definitions.render(sources).items()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", CHECKS)
def test_task_definitions_have_no_fault(sources: Path, check: str, name: str) -> None:
    assert not CHECKS[check](definitions.render(sources)[name])


@pytest.mark.parametrize(
    ("check", "file", "old", "new", "found"),
    [
        ("parameters", "web.json", '"healthCheck"', '"healthcheck"', '"healthcheck"'),
        ("parameters", "web.json", '"cpu": "1024"', '"cpu": 1024', "parameter cpu"),
        ("parameters", "task.json", '"executionRoleArn"', '"executionRoleARN"', '"executionRoleARN"'),
        ("properties", "web.json", '"memory": "2048"', '"memory": "512"', "memory '512'"),
        ("properties", "task.json", '"networkMode": "awsvpc"', '"networkMode": "bridge"', "'bridge'"),
        ("properties", "task.json", '"awslogs-group"', '"awslogs-grup"', "'awslogs-grup'"),
        ("safety", "settings.env", "WEB_CONC", "EMAIL_HOST_PASSWORD=x\nWEB_CONC", "EMAIL_HOST_PASSWORD is a secret"),
        ("safety", "settings.env", "WEB_CONCURRENCY", "WEB_CONCURENCY", "WEB_CONCURENCY is not in"),
        ("safety", "task.json", '"${SECRET_ARN}:SECRET_KEY::"', '"SECRET_KEY"', "not the ARN"),
        ("safety", "task.json", "@${DIGEST}", ":latest", "exhibition-crm:latest"),
        ("safety", "task.json", '"10001:10001"', '"0:0"', "user is 0:0"),
        ("safety", "task.json", '"stopTimeout": 28,', "", "stopTimeout is missing"),
        ("safety", "task.json", '"readonlyRootFilesystem": true,', "", "readonlyRootFilesystem is None"),
        ("safety", "task.json", '["ALL"]', '["NET_RAW"]', "{'drop': ['NET_RAW']}"),
        ("safety", "task.json", '["ALL"]', '["ALL"], "add": ["SYS_PTRACE"]', "'SYS_PTRACE'"),
        ("safety", "task.json", '"essential"', '"entryPoint": ["sh"], "essential"', "entryPoint is ['sh']"),
        ("safety", "task.json", '"logConfiguration"', '"firelensConfiguration"', "keeps its log"),
        ("safety", "web.json", '"healthCheck"', '"dockerLabels"', "healthCheck is missing"),
        ("safety", "media.json", '"transitEncryption": "ENABLED"', '"transitEncryption": "DISABLED"', "volume media"),
    ],
)
def test_fault_in_a_task_definition_is_found(
    sources: Path, check: str, file: str, old: str, new: str, found: str
) -> None:
    path = sources / FOLDER / file
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        web = definitions.render(sources)["web"]
    finally:
        path.write_text(before)

    assert found in str(CHECKS[check](web))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"DIGEST={DIGEST}"], "CERTIFICATES_DIGEST='' is not sha256: and 64 hexadecimal digits"),
        (["DIGEST=1.2.0", f"CERTIFICATES_DIGEST={DIGEST}"], "DIGEST='1.2.0' is not sha256:"),
    ],
)
def test_rendering_without_a_digest_says_so(sources: Path, arguments: list[str], words: str) -> None:
    done = definitions.make_render(sources, *arguments)

    assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_rendering_without_a_value_of_the_account_names_it(sources: Path) -> None:
    path = sources / FOLDER / "account.env"
    before = path.read_text()
    path.write_text(before.replace("\nREGION=", "\nAREA="))
    done = definitions.make_render(sources, f"DIGEST={DIGEST}", f"CERTIFICATES_DIGEST={DIGEST}")
    path.write_text(before)

    assert (done.returncode, "${REGION}, which deploy/ecs/account.env does not set" in done.stderr) == (2, True)


def test_images_are_those_of_the_digests(rendered: dict[str, Definition]) -> None:
    registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    ours = dict.fromkeys(NAMES, f"{registry}/exhibition-crm@{DIGEST}")
    ours["certificates"] = f"{registry}/exhibition-crm-certificates@{CERTIFICATES_DIGEST}"

    assert {name: container_of(definition)["image"] for name, definition in rendered.items()} == ours


def read_compose(name: str) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((SOURCE / f"docker/compose/{name}.yml").read_text())["services"]
    return services


def test_tasks_run_what_compose_runs(rendered: dict[str, Definition]) -> None:
    services = read_compose("tasks")
    heartbeat = services["celery-worker"]["healthcheck"]["test"]

    for name in ("worker", "certificates", "beat"):
        command, container = services[f"celery-{name}"]["command"], container_of(rendered[name])
        assert container["command"] == (command if isinstance(command, list) else command.split())
        assert container["healthCheck"]["command"] == heartbeat


def test_web_is_checked_as_the_image_says(rendered: dict[str, Definition]) -> None:
    text = (SOURCE / "docker/django/Dockerfile").read_text().rpartition("HEALTHCHECK")[2]
    check = container_of(rendered["web"])["healthCheck"]
    options = {name: int(value) for name, value in re.findall(r"--([a-z-]+)=(\d+)s?", text)}

    assert check["command"] == ["CMD", *json.loads(text[text.index("[") : text.index("]") + 1])]
    assert {name: check[name] for name in ("interval", "timeout", "retries")}.items() <= options.items()
    assert check["startPeriod"] == options["start-period"]


def test_memory_is_enough_for_the_limits_of_compose(rendered: dict[str, Definition]) -> None:
    services = read_compose("application") | read_compose("tasks")
    limits = {"web": "image", "migrate": "image", "worker": "celery-worker", "beat": "celery-beat"}

    for name, service in limits.items():
        limit = services[service]["mem_limit"]
        assert int(rendered[name]["memory"]) >= int(limit.removesuffix("m")), f"{name} has {limit} in docker/compose"
